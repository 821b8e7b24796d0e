{# Sum a pathway's synapses into a port, for a chunk of presentations: one matrix product (biofa_batch.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% if _only %}
    if (!biofa::segment().{{_only}}(biofa::segment().at)) return;
    {% endif %}
    const {{_real}}* _weights = {{_w}};
    {% if _follows %}
    static std::vector<{{_real}}> _signed((size_t){{_n_pre}} * {{_n_post}});
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
        {
            const size_t _idx = (size_t)_post_idx * {{_n_pre}} + _pre_idx;
            const size_t _turned_idx = (size_t)_pre_idx * {{_n_post}} + _post_idx;
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            _signed[_idx] = _weight;
        }
    _weights = _signed.data();
    {% endif %}
    {% if _rows_of_pre %}
    biofa::transmit_lanes<{{_real}}>(_weights, 1, {{_n_post}}, {{_sent}}, {{_port}}, {{_n_pre}}, {{_n_post}}, {{_lanes}}, {{'true' if _accumulate else 'false'}});
    {% else %}
    biofa::transmit_lanes<{{_real}}>(_weights, {{_n_pre}}, 1, {{_sent}}, {{_port}}, {{_n_pre}}, {{_n_post}}, {{_lanes}}, {{'true' if _accumulate else 'false'}});
    {% endif %}
{% endblock %}
