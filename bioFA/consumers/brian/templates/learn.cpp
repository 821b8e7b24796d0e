{# One step of a pathway's plasticity rule, where learning is on, or of its traces, where it learns at all; not for presynaptic neurons that are silent, where that changes nothing. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::segment().{{_on}}({{_step}}, {{_number}}))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        {% if _listed %}
        static const biofa::Joined& _joined = biofa::joined("{{_pathway}}", {{_n_pre}}, {{_n_post}});
        const biofa::Joined::Part _part = _joined.own();
        {% endif %}
        {% if _by_pre or _listed %}
        for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
        {
            {% if _silent %}
            if ({% for _array, _index in _silent %}{{'' if loop.first else ' && '}}{{_array}}[{{_index}}] == 0{% endfor %}) continue;
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
            }
        }
        {% else %}
        {% set _mine = ('_own.from', '_own.to') if _large else ('0', _n_post) %}
        {% if _large %}
        const biofa::Range _own = biofa::own({{_n_post}});
        {% endif %}
        for (int _post_idx = {{_mine[0]}}; _post_idx < {{_mine[1]}}; _post_idx++)
        {
            for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
            {
                const size_t _idx = (size_t)_post_idx * {{_n_pre}} + _pre_idx;
                const size_t _vectorisation_idx = _idx;
                {{vector_code|autoindent}}
            }
        }
        {% endif %}
    }
{% endblock %}
