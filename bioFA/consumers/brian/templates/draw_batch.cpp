{# Random numbers of a chunk of presentations, one for each neuron in each. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const biofa::Segment& _segment = biofa::segment();
    {% for _key, _array, _kind in _numbers %}
    biofa::spread({{_array}}, {{_size // _lanes}}, {{_lanes}}, _segment.together, [&](size_t _k, {{_real}}* _row) {
        _segment.{{_kind}}("{{_key}}", _segment.at + static_cast<int64_t>(_k), _row, {{_size // _lanes}});
    });
    {% endfor %}
{% endblock %}
