{# The postsynaptic factor of an update that waits for its block to end (biofa_block.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    auto& _block = {{_block}};
    if (biofa::segment().learns({{_step}}, {{_number}}))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        {{_real}}* const _update = _block.next_update();
        for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        {
            const size_t _vectorisation_idx = _post_idx;
            {{vector_code|autoindent}}
            _update[_post_idx] = _factor;
        }
        _block.learn(1 - static_cast<double>(_forgotten));
    }
    _block.finish(biofa::segment(), {{_step}}, {{_w}});
{% endblock %}
