{# Spikes of a source that hang on what it shows alone, drawn as it shows it (biofa_ahead.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::Foreseen& _spikes = biofa::foreseen("{{_name}}");
    if (biofa::segment().changes("{{_name}}", {{_step}}))
    {
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        static double _chances[{{_size}}];
        for (int _idx = 0; _idx < {{_size}}; _idx++)
        {
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            _chances[_idx] = _chance;
        }
        _spikes.draw<{{_real}}>(biofa::segment(), "{{_name}}", {{_step}}, _chances, {{_size}});
    }
    _spikes.show({{_step}}, {{_into}}, {{_size}});
{% endblock %}
