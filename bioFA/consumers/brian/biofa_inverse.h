// The damped pseudo-inverse of a weight matrix: W' (W W' + ridge I)^-1 = (W' W + ridge I)^-1 W'.
//
// The smaller of the two symmetric matrices is factored, G = L L' (Cholesky), and solved against W
// or W', one column after the other. Everything is computed in double, whatever the weights are.
#ifndef BIOFA_INVERSE_H
#define BIOFA_INVERSE_H

#include <cmath>
#include <vector>

namespace biofa {

// inverse (columns x rows) of w (rows x columns), both row by row
template <class real>
void pseudo_inverse(const real* w, int rows, int columns, double ridge, real* inverse) {
    const bool wide = rows <= columns;
    const int n = wide ? rows : columns, m = wide ? columns : rows;
    const auto at = [&](int i, int j) -> double { return wide ? w[static_cast<size_t>(i) * columns + j] : w[static_cast<size_t>(j) * columns + i]; };
    static std::vector<double> factor, solved;
    factor.assign(static_cast<size_t>(n) * n, 0);
    solved.resize(n);
    for (int i = 0; i < n; i++)
        for (int k = 0; k <= i; k++) {
            double sum = i == k ? ridge : 0;
            for (int j = 0; j < m; j++) sum += at(i, j) * at(k, j);
            for (int j = 0; j < k; j++) sum -= factor[i * n + j] * factor[k * n + j];
            factor[i * n + k] = i == k ? std::sqrt(sum) : sum / factor[k * n + k];
        }
    for (int j = 0; j < m; j++) {
        for (int i = 0; i < n; i++) {
            double sum = at(i, j);
            for (int k = 0; k < i; k++) sum -= factor[i * n + k] * solved[k];
            solved[i] = sum / factor[i * n + i];
        }
        for (int i = n - 1; i >= 0; i--) {
            double sum = solved[i];
            for (int k = i + 1; k < n; k++) sum -= factor[k * n + i] * solved[k];
            solved[i] = sum / factor[i * n + i];
        }
        for (int i = 0; i < n; i++) inverse[wide ? static_cast<size_t>(j) * rows + i : static_cast<size_t>(i) * rows + j] = static_cast<real>(solved[i]);
    }
}

}  // namespace biofa

#endif
