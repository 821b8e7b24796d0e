{# Take what traces ask for of synapses with dynamics, before any of them is used (biofa_dynamics.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% for _name, _dynamics, _n_pre in _observed %}
    static const biofa::Observed<biofa::{{_dynamics}}, {{_real}}> _observed_{{loop.index0}}("{{_name}}", {{_n_pre}}, biofa::count_of("{{_name}}"), {{_dt}}[0]);
    _observed_{{loop.index0}}.take({{_step}});
    {% endfor %}
{% endblock %}
