{# Make the changes that were gathered, where their batch ends; rescale the weights that keep their norm. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::segment().ends_batch({{_step}}, {{_number}}, {{_batch}}[0]))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        {% if _listed %}
        static const biofa::Joined& _joined = biofa::joined("{{_pathway}}", {{_n_pre}});
        for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
            for (int64_t _idx = _joined.first[_pre_idx]; _idx < _joined.first[_pre_idx + 1]; _idx++)
            {
                const int _post_idx = _joined.post[_idx];
                const size_t _vectorisation_idx = _idx;
                {{vector_code|autoindent}}
            }
        {% if _norm %}
        std::vector<double> _squares({{_n_post}}, 0.0);
        for (int64_t _idx = 0; _idx < _joined.count; _idx++) _squares[_joined.post[_idx]] += (double){{_w}}[_idx] * {{_w}}[_idx];
        for (int64_t _idx = 0; _idx < _joined.count; _idx++)
        {
            const int _post_idx = _joined.post[_idx];
            if (_squares[_post_idx] > 0) {{_w}}[_idx] *= {{_norm}}[_post_idx] / std::sqrt(_squares[_post_idx]);
        }
        {% endif %}
        {% else %}
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
        {% endif %}
    }
{% endblock %}
