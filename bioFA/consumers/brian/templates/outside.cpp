{# What a population's background brings to a port: Poisson numbers, of each neuron by itself (biofa_background.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _key, _mean, _none, _most, _own, _weight, _weighted in _trains %}
    const uint64_t _place_{{loop.index0}} = biofa::segment().place("{{_key}}", {{_step}});
    {% if _own == '0' %}
    static const biofa::Numbers _numbers_{{loop.index0}}({{_mean}}[0], {{_none}}[0], {{_most}}[0]);
    {% endif %}
    {% endfor %}
    auto* const _port = {{_port}};
    const biofa::Range _mine = biofa::own({{_size}});
    for (int _from = _mine.from; _from < _mine.to; _from += biofa::AT_ONCE)
    {
        const int _count = std::min(biofa::AT_ONCE, _mine.to - _from);
        uint64_t _bits[biofa::AT_ONCE];
        {{_real}} _sums[biofa::AT_ONCE] = {};
        {% for _key, _mean, _none, _most, _own, _weight, _weighted in _trains %}
        biofa::draw_bits(_place_{{loop.index0}}, _from, _count, _bits);
        for (int _k = 0; _k < _count; _k++)
        {
            const int _i = _from + _k;
            {% if _own == '0' %}
            _sums[_k] += {{_weight}}[{{_weighted}}] * _numbers_{{loop.index0}}(_bits[_k]);
            {% else %}
            _sums[_k] += {{_weight}}[{{_weighted}}] * biofa::poisson(biofa::of_bits(_bits[_k]), {{_mean}}[{{_own}}], {{_none}}[{{_own}}], {{_most}}[{{_own}}]);
            {% endif %}
        }
        {% endfor %}
        for (int _k = 0; _k < _count; _k++) _port[_from + _k] {{'+=' if _accumulate else '='}} _sums[_k];
    }
{% endblock %}
