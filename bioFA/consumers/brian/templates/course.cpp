{# What the course of a source says of this step. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {{_course}}[0] = biofa::segment().course("{{_name}}", {{_step}});
{% endblock %}
