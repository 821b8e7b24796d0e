{# Keep what a variable is in this step, for the steps in which synapses see it. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _past = biofa::segment().under_way("{{_name}}");
    double* const _row = _past.row({{_step}}, {{_size}});
    for (int _i = 0; _i < {{_size}}; _i++) _row[_i] = {{_values}}[_i];
{% endblock %}
