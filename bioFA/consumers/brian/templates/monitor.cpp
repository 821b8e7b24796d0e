{# Every spike, and what traces ask for, where time passes without a task. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::Segment& _segment = biofa::segment();
    {% for _name, _gathered in _spikes %}
    _segment.spikes("{{_name}}", {{_step}}, biofa::senders("{{_gathered}}"));
    {% endfor %}
    {% for _name, _array in _traced %}
    _segment.trace("{{_name}}", {{_step}}, {{_array}});
    {% endfor %}
{% endblock %}
