{# Keep variables of a chunk of presentations; what is only summed to be kept takes no memory until it is again. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _name, _array, _size in _records %}
    biofa::record_lanes(biofa::segment(), "{{_name}}", {{_array}}, {{_size // _lanes}}, {{_lanes}});
    {% if _name in _seldom %}
    if (biofa::segment().recorded(biofa::segment().at)) biofa::drop({{_array}}, sizeof({{_real}}) * {{_size}});
    {% endif %}
    {% endfor %}
{% endblock %}
