{# What arrives in this step over listed synapses. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _under_way = biofa::segment().under_way("{{_name}}");
    double* const __restrict _row = _under_way.row({{_step}}, {{_size}});
    auto* const __restrict _port = {{_port}};
    const biofa::Range _own = biofa::own({{_size}});
    #pragma GCC ivdep
    for (int _i = _own.from; _i < _own.to; _i++)
    {
        _port[_i] {{'+=' if _accumulate else '='}} _row[_i];
        _row[_i] = 0;
    }
{% endblock %}
