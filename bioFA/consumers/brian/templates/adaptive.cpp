{# Statements of a shorter step, for every neuron of a population, again and again until it has made all of a step. #}
{# USES_VARIABLES { N, elapsed } #}
{# `elapsed` by the very pointer that the statements write through: the compiler takes others to be elsewhere. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    const int _N = {{constant_or_scalar('N', variables['N'])}};
    for (int _idx = 0; _idx < _N; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        do
        {
            {{vector_code|autoindent}}
        } while ({{elapsed}}[_idx] != 0);
    }
{% endblock %}
