{# Put on its way what a matrix sends in this step. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _under_way = biofa::segment().under_way("{{_name}}");
    double* const _row = _under_way.row({{_step}}, {{_n_pre}});
    for (int _i = 0; _i < {{_n_pre}}; _i++) _row[_i] = {{_values}}[_i];
{% endblock %}
