{# What was sent through a matrix some steps ago and arrives in this one. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _under_way = biofa::segment().under_way("{{_name}}");
    const double* const _row = _under_way.row({{_step}}, {{_n_pre}});
    for (int _i = 0; _i < {{_n_pre}}; _i++) {{_arrived}}[_i] = _row[_i];
{% endblock %}
