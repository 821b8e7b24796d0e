{# The postsynaptic factor of what a chunk of presentations changes (biofa_batch.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::segment().learns(biofa::segment().at, {{_number}}))
    {
        auto& _gathering = {{_gathering}};
        _gathering.begin({{_n_pre}}, {{_n_post}}, {{_lanes}});
        {{_real}}* const _factors = _gathering.factor.data();
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        for (int _post_idx = 0; _post_idx < {{_n_post * _lanes}}; _post_idx++)
        {
            const size_t _vectorisation_idx = _post_idx;
            {{vector_code|autoindent}}
            _factors[_post_idx] = _factor;
        }
    }
{% endblock %}
