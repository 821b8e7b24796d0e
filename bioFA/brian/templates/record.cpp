{# Keep variables at the end of a presentation, and stop the network after the last one. #}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
#include "network.h"
{% endblock %}
{% block maincode %}
    biofa::Stretch& _stretch = biofa::stretch();
    {% for _name, _array, _size in _records %}
    _stretch.record("{{_name}}", {{_step}}, {{_array}}, {{_size}});
    {% endfor %}
    if (_stretch.over({{_step}}))
    {
        _stretch.finished = true;
        Network::_globally_stopped = true;
    }
{% endblock %}
