{# Random numbers of this step, one for each neuron. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _array in _arrays %}
    biofa::segment().draw("{{_name}}", {{_step}}, {{_array}}, {{_size}});
    {% endfor %}
{% endblock %}
