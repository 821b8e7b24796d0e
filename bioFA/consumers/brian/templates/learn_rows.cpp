{# One step of a rule whose change is a postsynaptic factor times a presynaptic variable, less a decay, row by row; rows that transmit what they learn by do both in one loop (biofa_rows.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% if _port %}
    {{_real}}* const _port = {{_port}};
    {% if not _accumulate %}
    for (int _i = 0; _i < {{_n_post}}; _i++) _port[_i] = 0;
    {% endif %}
    static biofa::Sending _senders;
    _senders.gather({{_sent}}, {{_n_pre}});
    const int32_t* const _which = _senders.which.data();
    if (_senders.count == 0) return;
    {% endif %}
    if (biofa::segment().learns({{_step}}, {{_number}}))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        {% if _large %}
        const biofa::Range _own = biofa::own({{_n_post}});
        {% else %}
        const struct { int from, to; } _own = {0, {{_n_post}}};
        {% endif %}
        alignas(64) static {{_real}} _factors[{{_n_post}}];
        #pragma GCC ivdep
        for (int _post_idx = _own.from; _post_idx < _own.to; _post_idx++)
        {
            const size_t _vectorisation_idx = _post_idx;
            {{vector_code|autoindent}}
            _factors[_post_idx] = _factor;
        }
        {% if _port %}
        biofa::transmit_and_learn<{{_n_post}}>(_which, _senders.count, {{_sent}}, _factors, {{_w}}, _port);
        {% elif _by_pre %}
        biofa::learn<{{_n_post}}>({{_n_pre}}, {{_sent}}, _factors, ({{_real}})_forgotten, {{_w}});
        {% else %}
        biofa::learn<{{_n_pre}}>(_own.to - _own.from, _factors + _own.from, {{_sent}}, ({{_real}})_forgotten, {{_w}} + (size_t)_own.from * {{_n_pre}});
        {% endif %}
    }
    {% if _port %}
    else biofa::transmit<{{_n_post}}>(_which, _senders.count, {{_sent}}, {{_w}}, _port);
    {% endif %}
{% endblock %}
