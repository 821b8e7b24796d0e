{# Load the rows of a chunk of presentations into a source. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const biofa::Segment& _segment = biofa::segment();
    biofa::spread({{_rates}}, {{_size // _lanes}}, {{_lanes}}, _segment.together, [&](size_t _k, {{_real}}* _row) {
        _segment.show_row("{{_name}}", _segment.at + static_cast<int64_t>(_k), _row, {{_size // _lanes}});
    });
{% endblock %}
