{# Take what traces ask for of the neurons that this thread owns (biofa_team.h), or of synapses. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _name, _array, _size in _traced %}
    static const std::vector<biofa::Trace*> _traces_{{loop.index0}} = biofa::segment().traces_of("{{_name}}", {{_array}});
    for (biofa::Trace* _one : _traces_{{loop.index0}}) _one->take({{_step}}, biofa::segment().step_of_presentation({{_step}}), {{_array}}, {{_size}});
    {% endfor %}
{% endblock %}
