{# Drop what is under way on a pathway, and what its synapses keep, as a presentation begins. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::segment().forget("{{_name}}", {{_step}});
{% endblock %}
