{# The drive of a pathway from the stimulus, K presentations at a time (biofa_block.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {{_block}}.transmit(biofa::segment(), {{_step}}, "{{_source}}", {{_w}}, {{_n_pre}}, {{_n_post}}, {{_port}}, {{'true' if _accumulate else 'false'}});
{% endblock %}
