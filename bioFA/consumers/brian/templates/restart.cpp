{# The state of a population, or the traces of a pathway, as it was before the first presentation. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if (biofa::segment().first_step({{_step}}))
        for (int _i = 0; _i < {{_size}}; _i++)
        {
            {% for _array, _value in _values %}
            {{_array}}[_i] = {{_value}};
            {% endfor %}
        }
{% endblock %}
