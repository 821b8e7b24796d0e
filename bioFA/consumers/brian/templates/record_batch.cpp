{# Keep variables of a chunk of presentations. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _name, _array, _size in _records %}
    biofa::record_lanes(biofa::segment(), "{{_name}}", {{_array}}, {{_size // _lanes}}, {{_lanes}});
    {% endfor %}
{% endblock %}
