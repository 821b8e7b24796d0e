{# The drive of a pathway from the stimulus, K presentations at a time (biofa_block.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% set _learns = 'biofa::segment().learns(' ~ _step ~ ', ' ~ _number ~ ')' if _plastic else 'false' %}
    {{_block}}.transmit(biofa::segment(), {{_step}}, "{{_source}}", {{_w}}, {{_port}}, {{'true' if _accumulate else 'false'}}, {{_learns}});
{% endblock %}
