{# Drop what is under way on a pathway as a presentation begins. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _under_way = biofa::segment().under_way("{{_name}}");
    if (biofa::segment().first_step({{_step}})) _under_way.clear();
{% endblock %}
