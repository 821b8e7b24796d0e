{# Load the row of this presentation into a source. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::segment().show("{{_name}}", {{_step}}, {{_rates}}, {{_size}});
{% endblock %}
