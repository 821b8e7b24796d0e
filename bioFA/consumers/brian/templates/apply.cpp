{# Make the changes that were gathered, where their batch ends; rescale the weights that keep their norm. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::segment().ends_batch({{_step}}, {{_number}}, {{_batch}}[0]))
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
            {% if _norm %}
            {{_real}}* const _row = {{_w}} + (size_t)_post_idx * {{_n_pre}};
            double _square = 0;
            for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++) _square += (double)_row[_pre_idx] * _row[_pre_idx];
            if (_square > 0)
                for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++) _row[_pre_idx] *= {{_norm}}[_post_idx] / std::sqrt(_square);
            {% endif %}
        }
    }
{% endblock %}
