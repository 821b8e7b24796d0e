{# Keep what a variable is in this step, for the steps in which synapses see it. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _past = biofa::segment().under_way("{{_name}}");
    double* const _row = _past.row({{_step}}, {{_size}});
    const biofa::Range _own = biofa::own({{_size}});
    for (int _i = _own.from; _i < _own.to; _i++) _row[_i] = {{_values}}[_i];
{% endblock %}
