{# Load the row of this presentation into a source. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::stretch().show("{{_name}}", {{_step}}, {{_rates}}, {{_size}});
{% endblock %}
