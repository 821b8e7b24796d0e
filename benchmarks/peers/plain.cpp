// The yardstick: online feedback alignment as one would write it by hand, sizes known to the compiler.
// plain CASE_FOLDER PRESENTATIONS: reads raw arrays of `real`, writes the final weights, prints the loop's seconds.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

typedef REAL real;
static const int n_in = N_IN, n_hidden = N_HIDDEN, n_out = N_OUT;

static std::vector<real> read(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) { std::perror(path.c_str()); std::exit(1); }
    std::fseek(file, 0, SEEK_END);
    std::vector<real> values(std::ftell(file) / sizeof(real));
    std::rewind(file);
    if (std::fread(values.data(), sizeof(real), values.size(), file) != values.size()) std::exit(1);
    std::fclose(file);
    return values;
}

static void write(const std::string& path, const std::vector<real>& values) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file || std::fwrite(values.data(), sizeof(real), values.size(), file) != values.size() || std::fclose(file) != 0) std::exit(1);
}

static inline real phi(real u) { return LOGISTIC ? 1 / (1 + std::exp(-u)) : u; }
static inline real gain(real r) { return LOGISTIC ? r * (1 - r) : 1; }

int main(int, char** argv) {
    const std::string folder = std::string(argv[1]) + "/";
    const long presentations = std::atol(argv[2]);
    const real eta = std::atof(argv[3]);
    const std::vector<real> inputs = read(folder + "inputs"), targets = read(folder + "targets"), feedback = read(folder + "feedback");
    std::vector<real> first = read(folder + "w0"), second = read(folder + "w1");
    const long rows = inputs.size() / n_in;
    real* __restrict w0 = first.data();
    real* __restrict w1 = second.data();
    const real* __restrict b = feedback.data();
    static real h[N_HIDDEN], y[N_OUT], e[N_OUT], delta[N_HIDDEN];

    const auto began = std::chrono::steady_clock::now();
    for (long k = 0; k < presentations; k++) {
        const real* __restrict x = &inputs[(k % rows) * n_in];
        const real* __restrict t = &targets[(k % rows) * n_out];
        for (int i = 0; i < n_hidden; i++) {
            real u = 0;
            for (int j = 0; j < n_in; j++) u += w0[(long)i * n_in + j] * x[j];
            h[i] = u;
        }
        for (int i = 0; i < n_hidden; i++) h[i] = phi(h[i]);
        for (int i = 0; i < n_out; i++) {
            real u = 0;
            for (int j = 0; j < n_hidden; j++) u += w1[(long)i * n_hidden + j] * h[j];
            y[i] = phi(u);
            e[i] = t[i] - y[i];
        }
        for (int i = 0; i < n_hidden; i++) {
            real back = 0;
            for (int j = 0; j < n_out; j++) back += b[(long)i * n_out + j] * e[j];
            delta[i] = eta * back * gain(h[i]);
        }
        for (int i = 0; i < n_out; i++)
            for (int j = 0; j < n_hidden; j++) w1[(long)i * n_hidden + j] += eta * e[i] * h[j];
        for (int i = 0; i < n_hidden; i++)
            for (int j = 0; j < n_in; j++) w0[(long)i * n_in + j] += delta[i] * x[j];
    }
    std::printf("%.9f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    write(folder + "w0.out", first);
    write(folder + "w1.out", second);
    return 0;
}
