{# Choose the presentations that are computed side by side (biofa_batch.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::next_chunk(biofa::segment(), {{_lanes}}, {{_batch}}[0]);
{% endblock %}
