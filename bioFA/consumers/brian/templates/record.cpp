{# Keep variables at the end of a presentation. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::Segment& _segment = biofa::segment();
    {% if _records %}
    if (_segment.recorded({{_step}}))
    {
        {% for _name, _array, _size in _records %}
        _segment.record("{{_name}}", {{_array}}, {{_size}});
        {% endfor %}
    }
    {% endif %}
    {% for _name, _array, _size in _rasters %}
    _segment.raster("{{_name}}", {{_array}}, {{_size}});
    {% endfor %}
{% endblock %}
