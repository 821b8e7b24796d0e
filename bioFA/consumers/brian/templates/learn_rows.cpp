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
        alignas(64) static {{_real}} _factors[{{_n_post}}];
        #pragma GCC ivdep
        for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        {
            const size_t _vectorisation_idx = _post_idx;
            {{vector_code|autoindent}}
            _factors[_post_idx] = _factor;
        }
        {% if _port %}
        biofa::transmit_and_learn<{{_n_post}}>(_which, _senders.count, {{_sent}}, _factors, {{_w}}, _port);
        {% else %}
        biofa::learn<{{_n_post}}>({{_n_pre}}, {{_sent}}, _factors, ({{_real}})_forgotten, {{_w}});
        {% endif %}
    }
    {% if _port %}
    else biofa::transmit<{{_n_post}}>(_which, _senders.count, {{_sent}}, {{_w}}, _port);
    {% endif %}
{% endblock %}
