{# What synapses see in this step of what was sent some steps ago: after one delay, or after one of their own (biofa_joined.h). #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    static biofa::UnderWay& _past = biofa::segment().under_way("{{_name}}");
    const double* const _row = _past.row({{_step}}, {{_size}});
    {% if not _delays %}
    const biofa::Range _own = biofa::own({{_size}});
    for (int _i = _own.from; _i < _own.to; _i++) {{_seen}}[_i] = _row[_i];
    {% else %}
    {% if _listed %}
    static const biofa::Joined& _joined = biofa::joined("{{_pathway}}", {{_n_pre}});
    const int64_t _count = _joined.count;
    {% else %}
    const int64_t _count = (int64_t){{_n_pre}} * {{_n_post}};
    {% endif %}
    static const int32_t* const _delays = biofa::delays("{{_delays}}", _count, _past.slots);
    static biofa::Seen<{{_real}}> _seen(_past);
    const {{_real}}* const* const _ago = _seen.rows({{_values}}, {{_step}});
    {{_real}}* const _all = {{_seen}};
    {% if _listed %}
    for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
        for (int64_t _idx = _joined.first[_pre_idx]; _idx < _joined.first[_pre_idx + 1]; _idx++)
            _all[_idx] = _ago[_delays[_idx]][{{'_pre_idx' if _side == 'pre' else '_joined.post[_idx]'}}];
    {% else %}
    {% set _outer, _inner = ('_pre_idx', '_post_idx') if _rows_of_pre else ('_post_idx', '_pre_idx') %}
    {% set _n_outer, _n_inner = (_n_pre, _n_post) if _rows_of_pre else (_n_post, _n_pre) %}
    for (int {{_outer}} = 0; {{_outer}} < {{_n_outer}}; {{_outer}}++)
        for (int {{_inner}} = 0; {{_inner}} < {{_n_inner}}; {{_inner}}++)
        {
            const size_t _idx = (size_t){{_outer}} * {{_n_inner}} + {{_inner}};
            _all[_idx] = _ago[_delays[_idx]][_{{_side}}_idx];
        }
    {% endif %}
    {% endif %}
{% endblock %}
