{# Sum a pathway's synapses into a port. Weights are stored row by row; a row is left out where its presynaptic neuron does not spike. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% if _only %}
    if (!biofa::segment().{{_only}}({{_step}})) return;
    {% endif %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    {{_real}}* const _port = {{_port}};
    {% if _rows_of_pre %}
    // stored as (n_pre, n_post): add one presynaptic neuron's row after the other
    {% if not _accumulate %}
    for (int _i = 0; _i < {{_n_post}}; _i++) _port[_i] = 0;
    {% endif %}
    for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
    {
        {% if _sent %}
        if ({{_sent}}[_pre_idx] == 0) continue;
        {% endif %}
        for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        {
            const size_t _idx = (size_t)_pre_idx * {{_n_post}} + _post_idx;
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            _port[_post_idx] += _transmitted;
        }
    }
    {% else %}
    // stored as (n_post, n_pre): one sum for each postsynaptic neuron
    for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
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
            _sum += _transmitted;
        }
        _port[_post_idx] {{'+=' if _accumulate else '='}} _sum;
    }
    {% endif %}
{% endblock %}
