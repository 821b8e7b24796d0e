{# One step of a pathway's plasticity rule, where learning is on. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::stretch().learns({{_step}}, {{_number}}))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        for (int _post_idx = 0; _post_idx < {{_n_post}}; _post_idx++)
        {
            for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
            {
                const size_t _idx = (size_t)_post_idx * {{_n_pre}} + _pre_idx;
                const size_t _vectorisation_idx = _idx;
                {{vector_code|autoindent}}
            }
        }
    }
{% endblock %}
