{# How often each neuron of a source spikes in this step. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::segment().spike("{{_name}}", {{_step}}, {{_spikes}}, {{_size}});
{% endblock %}
