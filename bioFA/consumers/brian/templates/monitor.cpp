{# Keep every spike, and what has been taken for traces, where time passes without a task. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::Segment& _segment = biofa::segment();
    {% for _name, _gathered in _spikes %}
    static biofa::Spikes& _spikes_{{loop.index0}} = _segment.spikes_of("{{_name}}");
    static const biofa::Senders& _senders_{{loop.index0}} = biofa::senders("{{_gathered}}");
    _segment.keep(_spikes_{{loop.index0}}, {{_step}}, _senders_{{loop.index0}});
    {% endfor %}
    _segment.write_traces({{_step}});
{% endblock %}
