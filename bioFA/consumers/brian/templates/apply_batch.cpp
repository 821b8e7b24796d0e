{# Gather the changes of a chunk of presentations, and make them where the batch ends, row by row; rescale the weights that keep their norm. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const biofa::Segment& _segment = biofa::segment();
    if (_segment.learns(_segment.at, {{_number}}))
    {
        auto& _gathering = {{_gathering}};
        const int _count = static_cast<int>(_segment.together);
        const bool _ends = _segment.ends_batch(_segment.at + _count - 1, {{_number}}, {{_batch}}[0]);
        _gathering.take({{_sent}}, {{_gathered}});
        const size_t _vectorisation_idx = -1;
        {{scalar_code|autoindent}}
        const {{_real}} _lost = _count * _forgotten;
        const int _most = biofa::Gathering<{{_real}}>::ROWS;
        for (int _first = 0; _first < {{_n_post}}; _first += _most)
        {
            const int _rows = std::min(_most, {{_n_post}} - _first);
            _gathering.sum(_first, _rows, _count, {{_gathered}});
            for (int _post_idx = _first; _post_idx < _first + _rows; _post_idx++)
            {
                {{_real}}* __restrict const _sums = &_gathering.sums[(_post_idx - _first) * _gathering.width];
                {{_real}}* __restrict const _row = {{_w}} + (size_t)_post_idx * {{_n_pre}};
                {{_real}}* __restrict const _waiting = {{_gathered}} + (size_t)_post_idx * {{_n_pre}};
                if (_lost != 0) for (int _j = 0; _j < {{_n_pre}}; _j++) _sums[_j] -= _lost * _row[_j];
                {% if _exists %}
                for (int _j = 0; _j < {{_n_pre}}; _j++) if (!{{_exists}}[(size_t)_post_idx * {{_n_pre}} + _j]) _sums[_j] = 0;
                {% endif %}
                if (!_ends)
                {
                    std::copy(_sums, _sums + {{_n_pre}}, _waiting);
                    continue;
                }
                #pragma GCC ivdep
                for (int _pre_idx = 0; _pre_idx < {{_n_pre}}; _pre_idx++)
                {
                    const {{_real}} summed = _sums[_pre_idx];
                    const size_t _idx = (size_t)_post_idx * {{_n_pre}} + _pre_idx;
                    const size_t _vectorisation_idx = _idx;
                    {{vector_code|autoindent}}
                }
                if (_gathering.waits) std::fill(_waiting, _waiting + {{_n_pre}}, {{_real}}(0));
                {% if _norm %}
                double _square = 0;
                for (int _j = 0; _j < {{_n_pre}}; _j++) _square += (double)_row[_j] * _row[_j];
                if (_square > 0)
                    for (int _j = 0; _j < {{_n_pre}}; _j++) _row[_j] *= {{_norm}}[_post_idx] / std::sqrt(_square);
                {% endif %}
            }
        }
        _gathering.give_back();
        _gathering.waits = !_ends;
    }
{% endblock %}
