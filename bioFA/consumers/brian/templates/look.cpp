{# Statements for every neuron of a population, in the steps in which somebody reads the outcome. #}
{# USES_VARIABLES { N } #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (!biofa::segment().{{_only}}({{_step}})) return;
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    #pragma GCC ivdep
    for (int _idx = 0; _idx < {{constant_or_scalar('N', variables['N'])}}; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
    }
{% endblock %}
