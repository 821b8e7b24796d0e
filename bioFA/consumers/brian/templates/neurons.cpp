{# Statements for every neuron, or every one that this thread owns (biofa_team.h), each by itself: the compiler need not ask whether arrays overlap. #}
{# USES_VARIABLES { N } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    {% if _shared %}
    const biofa::Range _own = biofa::own({{constant_or_scalar('N', variables['N'])}});
    {% else %}
    const struct { int from, to; } _own = {0, {{constant_or_scalar('N', variables['N'])}}};
    {% endif %}
    #pragma GCC ivdep
    for (int _idx = _own.from; _idx < _own.to; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|join('\n')|replace('(1.0 - ', '(1.0f - ' if _single else '(1.0 - ')|autoindent}}
    }
{% endblock %}
