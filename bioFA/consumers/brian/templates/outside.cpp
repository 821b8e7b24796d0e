{# What a population's background brings to a port: Poisson numbers, of each neuron by itself. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _key, _mean, _none, _most, _own, _weight, _weighted in _trains %}
    const uint64_t _place_{{loop.index0}} = biofa::segment().place("{{_key}}", {{_step}});
    {% endfor %}
    auto* const _port = {{_port}};
    for (int _i = 0; _i < {{_size}}; _i++)
    {
        {{_real}} _sum = 0;
        {% for _key, _mean, _none, _most, _own, _weight, _weighted in _trains %}
        _sum += {{_weight}}[{{_weighted}}] * biofa::poisson(biofa::uniform(_place_{{loop.index0}}, _i), {{_mean}}[{{_own}}], {{_none}}[{{_own}}], {{_most}}[{{_own}}]);
        {% endfor %}
        _port[_i] {{'+=' if _accumulate else '='}} _sum;
    }
{% endblock %}
