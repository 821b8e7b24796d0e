{# Load the row of this presentation into a source. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static const biofa::Source& _source = biofa::segment().source_of("{{_name}}");
    biofa::segment().show(_source, "{{_name}}", {{_step}}, {{_rates}}, {{_size}});
{% endblock %}
