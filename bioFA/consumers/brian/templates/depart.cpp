{# Put on its way what listed synapses send in this step (biofa_listed.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::Listed<biofa::{{_dynamics}}> _synapses("{{_name}}", {{_n_pre}}, {{_n_post}}, {{_dt}}[0]);
    static const biofa::Senders& _senders = biofa::senders("{{_senders}}", {{_n_pre}});
    _synapses.send(_senders, {{_step}});
{% endblock %}
