{# List the neurons in which a variable is not 0, and what it is. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::Senders& _senders = biofa::senders("{{_name}}", {{_size}});
    _senders.gather({{_values}}, {{_size}}, {{_step}});
{% endblock %}
