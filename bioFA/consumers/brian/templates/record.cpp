{# Keep variables at the end of a presentation. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::Stretch& _stretch = biofa::stretch();
    {% for _name, _array, _size in _records %}
    _stretch.record("{{_name}}", {{_step}}, {{_array}}, {{_size}});
    {% endfor %}
    {% for _name, _array, _size in _rasters %}
    _stretch.raster("{{_name}}", {{_array}}, {{_size}});
    {% endfor %}
{% endblock %}
