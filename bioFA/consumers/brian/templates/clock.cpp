{# The time since this presentation began, at the beginning of the step. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {{_time}}[0] = biofa::segment().step_of_presentation({{_step}}) * {{_dt}}[0];
{% endblock %}
