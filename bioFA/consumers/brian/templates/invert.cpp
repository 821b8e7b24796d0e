{# A pathway's weights as the pseudo-inverse of another's (biofa_inverse.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    biofa::pseudo_inverse<{{_real}}>({{_owner}}, {{_rows}}, {{_columns}}, {{_ridge}}[0], {{_w}});
{% endblock %}
