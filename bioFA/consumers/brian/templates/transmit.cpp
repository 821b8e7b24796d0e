{# Sum a pathway's synapses into a port, or put the sum on its way along the dendrites. Weights are stored row by row; a row is left out where its presynaptic neuron does not spike. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% if _only %}
    if (!biofa::segment().{{_only}}({{_step}})) return;
    {% endif %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    {% if _listed %}
    static const biofa::Joined& _joined = biofa::joined("{{_pathway}}", {{_n_pre}}, {{_n_post}});
    const biofa::Joined::Part _part = _joined.own();
    {% endif %}
    {% if _dendritic %}
    static biofa::UnderWay& _dendrite = biofa::segment().under_way("{{_pathway}}.dendrite");
    const int64_t _slots = _dendrite.slots;
    {% if _dendritic == 'one' %}
    double* const _port = _dendrite.row({{_step}} + _slots - 1, {{_n_post}});
    {% else %}
    static const int32_t* const _after = biofa::delays("{{_pathway}}.dendritic", {{'_joined.count' if _listed else '(int64_t)' ~ _n_pre ~ ' * ' ~ _n_post}}, _slots - 1);
    const int64_t _now = {{_step}} % _slots;
    double* const _all = _dendrite.row(0, {{_n_post}});
    {% endif %}
    {% else %}
    {{_real}}* const _port = {{_port}};
    {% endif %}
    {% set _onto = '_all[(_now + _after[_idx]) % _slots * ' ~ _n_post ~ ' + _post_idx]' if _dendritic == 'each' else '_port[_post_idx]' %}
    {% set _add = _accumulate or _dendritic %}
    {% if _rows_of_pre %}
    // stored by presynaptic neuron: add one neuron's synapses after the other's
    {% if _listed and not _add %}
    const biofa::Range _own = biofa::own({{_n_post}});
    for (int _i = _own.from; _i < _own.to; _i++) _port[_i] = 0;
    {% elif not (_add or _ahead or _decays) %}
    for (int _i = 0; _i < {{_n_post}}; _i++) _port[_i] = 0;
    {% endif %}
    {% if _sums %}
    {% if _ahead %}
    static biofa::Ahead<{{_n_post}}, {{_real}}> _ahead;
    _ahead.transmit(biofa::foreseen("{{_ahead}}"), biofa::segment(), {{_number}}, {{_step}}, {{_sent}}, {{_w}}, _port, {{'true' if _add else 'false'}});
    {% elif _event %}
    static biofa::Sending _senders;
    _senders.gather({{_sent}}, {{_n_pre}});
    biofa::transmit<{{_n_post}}>(_senders.which.data(), _senders.count, {{_sent}}, {{_w}}, _port);
    {% elif _decays %}
    static biofa::Decaying<{{_n_post}}, {{_real}}> _decaying;
    _decaying.transmit(biofa::segment().first_step({{_step}}), {{_n_pre}}, {{_sent}}, {{_w}}, _port, {{'true' if _add else 'false'}});
    {% else %}
    static const int32_t* const _all_pre = biofa::everyone({{_n_pre}});
    biofa::transmit<{{_n_post}}>(_all_pre, {{_n_pre}}, {{_sent}}, {{_w}}, _port);
    {% endif %}
    {% else %}
    for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
    {
        {% if _sent and _event %}
        if ({{_sent}}[_pre_idx] == 0) continue;
        {% endif %}
        {% if _listed %}
        for (int64_t _idx = _part.from(_pre_idx), _end = _part.end(_pre_idx); _idx < _end; _idx++)
        {
            const int _post_idx = _joined.post[_idx];
        {% else %}
        for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        {
            const size_t _idx = (size_t)_pre_idx * {{_n_post}} + _post_idx;
        {% endif %}
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            {{_onto}} += _transmitted;
        }
    }
    {% endif %}
    {% else %}
    // stored as (n_post, n_pre): one sum for each postsynaptic neuron (biofa_team.h: of those that this thread owns)
    {% set _mine = ('_own.from', '_own.to') if _large else ('0', _n_post) %}
    {% if _large %}
    const biofa::Range _own = biofa::own({{_n_post}});
    {% endif %}
    for (int _post_idx = {{_mine[0]}}; _post_idx < {{_mine[1]}}; _post_idx++)
    {
        {{_real}} _sum = 0;
        for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
        {
            const size_t _idx = (size_t)_post_idx * {{_n_pre}} + _pre_idx;
            {% if _follows %}
            const size_t _turned_idx = (size_t)_pre_idx * {{_n_post}} + _post_idx;
            {% endif %}
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            {{_onto if _dendritic == 'each' else '_sum'}} += _transmitted;
        }
        {% if _dendritic != 'each' %}
        _port[_post_idx] {{'+=' if _add else '='}} _sum;
        {% endif %}
    }
    {% endif %}
{% endblock %}
