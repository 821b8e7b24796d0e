{# Random numbers of this step, one for each neuron. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _key, _array, _kind in _numbers %}
    biofa::segment().{{_kind}}("{{_key}}", {{_step}}, {{_array}}, {{_size}});
    {% endfor %}
{% endblock %}
