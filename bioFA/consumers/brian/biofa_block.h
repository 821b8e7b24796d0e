// Blocked online learning, exactly: a pathway from the stimulus, K presentations at a time, multiplying what is not zero.
//
// The weights are kept as W = s V: the decay of all steps so far is the one number s. For the next K inputs x_k the drives
// P_k = V x_k are taken when the block begins. Learning stays online: presentation m changes V by b_m x_m', with b_m its
// update over s, so that the drive of presentation k > m of the same block is s (P_k + sum over m of b_m (x_m . x_k)).
// V takes up the updates of a block in the pass over it that takes the drives of the next. Only the order of rounding
// differs from changing W after every presentation, and it is the same wherever a segment of whole blocks is cut.
//
// V lies in tiles of a few vectors of postsynaptic neurons, one row an input, so that a row of a tile fits the registers:
// while it is there, it takes up its updates; and one image's drives of a tile are summed there over the inputs that it
// shows; two rows, or two images, at once where nothing is zero. Both go block by block of as many rows as fit the first
// cache, while the next rows are on their way to it.
#ifndef BIOFA_BLOCK_H
#define BIOFA_BLOCK_H

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#include "biofa_lanes.h"
#include "biofa_runtime.h"

namespace biofa {

// numbers at the beginning of a cache line, in memory that is not touched before it is written
template <class real>
struct Aligned {
    real* values = nullptr;
    void resize(size_t count) {
        if (values) return;
        void* at = nullptr;
        if (::posix_memalign(&at, 4096, count * sizeof(real)) != 0) fail("there is no memory for a block of presentations");
        values = static_cast<real*>(at);
    }
};

// give memory back whose content is of no use any more; it may be written again
inline void drop(void* from, size_t bytes) {
#ifdef __linux__
    const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE)), first = (reinterpret_cast<uintptr_t>(from) + page - 1) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(from) + bytes) / page * page;
    if (end > first) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
#endif
}

// What is not zero in the inputs of a block, by input: which presentations show it, in their order, and what they show.
template <class real, int K>
struct ByInput {
    std::vector<int> first;  // where an input's entries begin; one more
    std::vector<unsigned char> which;
    std::vector<real> value;
    int entries(int j) const { return first[j + 1] - first[j]; }
};

template <class real, int n_pre, int n_post>
class Block {
    typedef typename Lanes<real>::type vec;
    static const int K = 32, L = Lanes<real>::count;
    static const int MOST = 8;   // vectors in a row of a tile, beside which operands find registers
    static const int ALL = (n_post + L - 1) / L, TILES = (ALL + MOST - 1) / MOST;
    static const int WIDE = (ALL + TILES - 1) / TILES, LAST = ALL - (TILES - 1) * WIDE;
    static const int ROWS = 64;  // rows that fit the first cache beside the block's drives and updates

    Aligned<real> weights, drive, update, shown, sum, factor, input;
    ByInput<real, K> past, now;           // inputs of the block whose updates wait, and of the one that runs
    std::vector<int> list;                // by presentation: the inputs that it shows, and
    std::vector<real> value;              // what they show
    int first[K + 1];                     // where a presentation's entries begin
    std::vector<int> cut, order, used, at, sorted;  // blocks of rows: see plan()
    std::vector<int> order_first, used_first;
    real dot[K][K];
    int images = 0, filled = 0, waiting = 0;  // presentations of this block; its updates; updates of the one before
    double scale = 1, left = 1;           // s, and what V has still to be multiplied by
    bool laid = false, learning = false;

    static constexpr int part(int wide) { return Lanes<real>::bytes == 64 ? wide : (wide + 1) / 2; }  // what two rows at once fill
    static real* tile(real* from, int number, int rows) { return from + static_cast<size_t>(number) * rows * WIDE * L; }
    static int width(int number) { return (number == TILES - 1 ? LAST : WIDE) * L; }

public:
    // the drive of one step, added to the port or put in its place
    void transmit(const Segment& segment, int64_t step, const char* source, real* w, real* __restrict port, bool accumulate,
                  bool learns) {
        const int place = static_cast<int>(step % K);
        if (!laid) lay_in(w);
        learning = learns;
        if (place == 0) begin(segment, step, source);
        for (int t = 0; t < TILES - 1; t++) drive_of<WIDE>(t, place);
        drive_of<LAST>(TILES - 1, place);
        const real *__restrict all = sum.values, s = static_cast<real>(scale);
        if (accumulate) for (int i = 0; i < n_post; i++) port[i] += s * all[i];
        else            for (int i = 0; i < n_post; i++) port[i] = s * all[i];
        if (!learns && segment.last(step)) lay_out(w);
    }

    // where the postsynaptic factors of this step's update go
    real* next_update() { return factor.values; }

    // they are there; older weights have decayed to this share
    void learn(double keep) {
        if (filled >= images) fail("an update has no presentation");
        scale *= keep;
        if (!(std::fabs(scale) > 1.0 / 1024 && std::fabs(scale) < 1024)) fold();
        const real by = static_cast<real>(1 / scale);
        for (int t = 0; t < TILES; t++) {
            const int n = width(t);
            real* __restrict to = tile(update.values, t, K) + static_cast<size_t>(filled) * n;
            const real* __restrict from = factor.values + t * WIDE * L;
            for (int i = 0; i < n; i++) to[i] = by * from[i];
        }
        filled++;
    }

    // after the last step of a segment, the weights are where the program has them
    void finish(const Segment& segment, int64_t step, real* w) {
        if (!segment.last(step) || !laid) return;
        turn();
        images = 0;
        pass();
        lay_out(w);
    }

private:
    // V as it is at the beginning, tile by tile; what lies there twice is dropped
    void lay_in(real* w) {
        weights.resize(static_cast<size_t>(n_pre) * ALL * L);
        drive.resize(static_cast<size_t>(K) * ALL * L);
        update.resize(static_cast<size_t>(K) * ALL * L);
        shown.resize(static_cast<size_t>(K) * n_pre);
        sum.resize(ALL * L);
        factor.resize(ALL * L);
        input.resize(n_pre);
        std::fill(factor.values, factor.values + ALL * L, real(0));
        for (int t = 0; t < TILES; t++) {
            const int n = width(t), base = t * WIDE * L, rows = std::min(n, n_post - base);
            real* __restrict to = tile(weights.values, t, n_pre);
            real* __restrict from = w + static_cast<size_t>(base) * n_pre;
            if (rows < n) std::fill(to, to + static_cast<size_t>(n_pre) * n, real(0));
            for (int j = 0; j < n_pre; j += 16)
                for (int i = 0; i < rows; i++)
                    for (int k = j; k < std::min(j + 16, n_pre); k++) to[static_cast<size_t>(k) * n + i] = from[static_cast<size_t>(i) * n_pre + k];
            drop(from, static_cast<size_t>(rows) * n_pre * sizeof(real));
        }
        laid = true;
        scale = left = 1;
        images = filled = waiting = 0;
    }

    void lay_out(real* w) {
        const real s = static_cast<real>(scale);
        for (int t = 0; t < TILES; t++) {
            const int n = width(t), base = t * WIDE * L, rows = std::min(n, n_post - base);
            real* __restrict from = tile(weights.values, t, n_pre);
            real* __restrict to = w + static_cast<size_t>(base) * n_pre;
            for (int j = 0; j < n_pre; j += 16)
                for (int i = 0; i < rows; i++)
                    for (int k = j; k < std::min(j + 16, n_pre); k++) to[static_cast<size_t>(i) * n_pre + k] = s * from[static_cast<size_t>(k) * n + i];
            drop(from, static_cast<size_t>(n) * n_pre * sizeof(real));
        }
        laid = false;
    }

    // s becomes 1 where it has gone far from it, or is 0: drives and updates take it up, and V in its next pass
    void fold() {
        const real s = static_cast<real>(scale);
        shrink(drive.values, images, s);
        shrink(update.values, filled, s);
        left *= scale;
        scale = 1;
    }

    static void shrink(real* __restrict from, int rows, real s) {
        for (int t = 0; t < TILES; t++) {
            real* __restrict const values = tile(from, t, K);
            for (int i = 0; i < rows * width(t); i++) values[i] *= s;
        }
    }

    // the block that ran is now the one whose updates wait
    void turn() {
        std::swap(past, now);
        waiting = filled;
        filled = 0;
    }

    void begin(const Segment& segment, int64_t step, const char* source) {
        turn();
        images = static_cast<int>(std::min<int64_t>(K, segment.presentations - step));
        look(segment, step, source);
        pass();
    }

    // the inputs of the next presentations: which are not zero, and their products with each other
    void look(const Segment& segment, int64_t step, const char* source) {
        list.resize(static_cast<size_t>(K) * n_pre + 1);
        value.resize(static_cast<size_t>(K) * n_pre + 1);
        now.first.assign(n_pre + 1, 0);
        int* const __restrict index = list.data();
        real* const __restrict what = value.data();
        int* const __restrict often = now.first.data() + 1;
        int found = 0;
        for (int k = 0; k < images; k++) {
            const real* const __restrict row = input.values;
            segment.show_row(source, step + k, input.values, n_pre);
            const int from = first[k] = found;
            for (int j = 0; j < n_pre; j++) {
                index[found] = j;
                what[found] = row[j];
                found += row[j] != 0;
            }
            for (int e = from; e < found; e++) often[index[e]]++;
        }
        first[images] = found;
        if (!learning) return;
        for (int j = 0; j < n_pre; j++) now.first[j + 1] += now.first[j];
        if (now.which.size() < static_cast<size_t>(found)) { now.which.resize(found); now.value.resize(found); }
        std::fill(shown.values, shown.values + static_cast<size_t>(n_pre) * K, real(0));
        at.assign(now.first.begin(), now.first.end());
        int* const __restrict place = at.data();
        unsigned char* const __restrict which = now.which.data();
        real *const __restrict by_input = now.value.data(), *const __restrict table = shown.values;
        for (int k = 0; k < images; k++)
            for (int e = first[k], end = first[k + 1]; e < end; e++) {
                const int j = index[e], to = place[j]++;
                which[to] = static_cast<unsigned char>(k);
                by_input[to] = table[static_cast<size_t>(j) * K + k] = what[e];
            }
        for (int k = 1; k < images; k++) {
            vec both[K / L];
            for (int v = 0; v < K / L; v++) both[v] = vec{};
            for (int e = first[k], end = first[k + 1]; e < end; e++) {
                const vec* const __restrict others = reinterpret_cast<const vec*>(table + static_cast<size_t>(index[e]) * K);
                const vec x = vec{} + what[e];
                for (int v = 0; v < K / L; v++) both[v] += x * others[v];
            }
            for (int v = 0; v < K / L; v++)
                for (int l = 0; l < L; l++) dot[k][v * L + l] = both[v][l];
        }
    }

    // Blocks of rows, of which at most ROWS are used in the pass: block b has the rows from cut[b]; those with updates, by
    // their number, stand in `order`, those that are used in `used`; presentation k shows what stands in its list from at[b K + k].
    void plan() {
        cut.assign(1, 0);
        order_first.assign(1, 0);
        used_first.assign(1, 0);
        order.clear();
        used.clear();
        const bool next = images > 0;
        for (int j = 0; j < n_pre; j++) {
            const bool old = waiting > 0 && past.entries(j) > 0;
            if (!old && !(next && is_shown(j))) continue;
            if (static_cast<int>(used.size()) - used_first.back() == ROWS) close(j);
            used.push_back(j);
            if (old) order.push_back(j);
        }
        close(n_pre);
        const int blocks = static_cast<int>(cut.size()) - 1;
        at.resize(static_cast<size_t>(blocks + 1) * K);
        for (int k = 0; k < images; k++) {
            int e = first[k];
            for (int b = 0; b < blocks; b++) {
                at[static_cast<size_t>(b) * K + k] = e;
                while (e < first[k + 1] && list[e] < cut[b + 1]) e++;
            }
            at[static_cast<size_t>(blocks) * K + k] = e;
        }
    }

    bool is_shown(int j) const { return learning ? now.entries(j) > 0 : now.first[j + 1] > 0; }

    // end a block of rows before row j; rows with as many updates follow each other, so that loops end alike
    void close(int j) {
        int before[K + 2] = {0};  // how many rows have fewer updates
        const auto from = order.begin() + order_first.back();
        for (auto row = from; row != order.end(); ++row) before[past.entries(*row) + 1]++;
        for (int n = 0; n < K; n++) before[n + 1] += before[n];
        sorted.resize(ROWS);
        for (auto row = from; row != order.end(); ++row) sorted[before[past.entries(*row)]++] = *row;
        std::copy(sorted.begin(), sorted.begin() + (order.end() - from), from);
        cut.push_back(j);
        order_first.push_back(static_cast<int>(order.size()));
        used_first.push_back(static_cast<int>(used.size()));
    }

    // one pass over V: the updates that wait, and the drives of the next presentations
    void pass() {
        if (left != 1)
            for (size_t i = 0; i < static_cast<size_t>(n_pre) * ALL * L; i++) weights.values[i] *= static_cast<real>(left);
        left = 1;
        if (waiting == 0 && images == 0) return;
        plan();
        for (int t = 0; t < TILES - 1; t++) pass_tile<WIDE>(t);
        pass_tile<LAST>(TILES - 1);
        waiting = 0;
    }

    template <int wide>
    void pass_tile(int t) {
        real* const w = tile(weights.values, t, n_pre);
        const vec* const a = reinterpret_cast<const vec*>(tile(update.values, t, K));
        vec* const d = reinterpret_cast<vec*>(tile(drive.values, t, K));
        for (int i = 0; i < images * wide; i++) d[i] = vec{};
        const int blocks = static_cast<int>(cut.size()) - 1, following = t + 1 < TILES ? t + 1 : 0;
        for (int b = 0; b < blocks; b++) {
            for (int n = order_first[b]; n < order_first[b + 1]; n++) {
                const int j = order[n];
                if (n + 1 < order_first[b + 1] && past.entries(j) == waiting) {  // both rows take up all updates
                    const int i = order[++n];
                    vec* const rows = reinterpret_cast<vec*>(w);
                    add_two<wide, 0, part(wide)>(rows + static_cast<size_t>(j) * wide, rows + static_cast<size_t>(i) * wide, a, past.first[j], past.first[i]);
                    add_two<wide, part(wide), wide>(rows + static_cast<size_t>(j) * wide, rows + static_cast<size_t>(i) * wide, a, past.first[j], past.first[i]);
                    continue;
                }
                add<wide>(reinterpret_cast<vec*>(w) + static_cast<size_t>(j) * wide, a, past.first[j], past.first[j + 1]);
            }
            const bool same = b + 1 < blocks;  // the rows that come next are of this tile
            const int *next = used.data() + used_first[same ? b + 1 : 0], *const last = used.data() + used_first[same ? b + 2 : 1];
            const size_t row = (same ? wide : width(following) / L) * Lanes<real>::bytes;
            const char* const ahead = reinterpret_cast<const char*>(same ? w : tile(weights.values, following, n_pre));
            const int share = images ? (static_cast<int>(last - next) + images - 1) / images : 0;
            for (int k = 0; k < images; k++) {
                for (const int* const until = std::min(next + share, last); next < until; next++)
                    for (size_t line = 0; line < row; line += 64) __builtin_prefetch(ahead + *next * row + line, 1);
                const int *const begin = &at[static_cast<size_t>(b) * K + k], *const end = begin + K, count = cut[b + 1] - cut[b];
                if (k + 1 < images && end[0] - begin[0] == count && end[1] - begin[1] == count) {  // both show all rows
                    const vec* const rows = reinterpret_cast<const vec*>(w) + static_cast<size_t>(cut[b]) * wide;
                    sum_two<wide, 0, part(wide)>(rows, d + k * wide, begin[0], begin[1], count);
                    sum_two<wide, part(wide), wide>(rows, d + k * wide, begin[0], begin[1], count);
                    k++;
                    continue;
                }
                sum_up<wide>(reinterpret_cast<const vec*>(w), d + k * wide, at[static_cast<size_t>(b) * K + k], at[static_cast<size_t>(b + 1) * K + k]);
            }
        }
    }

    // a row of a tile takes up the updates of the presentations that showed its input
    template <int wide>
    void add(vec* __restrict w, const vec* __restrict a, int from, int end) const {
        vec row[wide];
        for (int v = 0; v < wide; v++) row[v] = w[v];
        const unsigned char* const __restrict which = past.which.data();
        const real* const __restrict what = past.value.data();
        for (int e = from; e < end; e++) {
            const vec x = vec{} + what[e];
            const vec* const __restrict one = a + which[e] * wide;
            for (int v = 0; v < wide; v++) row[v] += x * one[v];
        }
        for (int v = 0; v < wide; v++) w[v] = row[v];
    }

    // two rows that all presentations change alike: each factor is loaded once
    template <int wide, int low, int high>
    void add_two(vec* __restrict w, vec* __restrict z, const vec* __restrict a, int from, int other) const {
        vec row[high - low], next[high - low];
        for (int v = low; v < high; v++) { row[v - low] = w[v]; next[v - low] = z[v]; }
        const real *const __restrict what = past.value.data() + from, *const __restrict more = past.value.data() + other;
        for (int m = 0; m < waiting; m++) {
            const vec x = vec{} + what[m], y = vec{} + more[m];
            for (int v = low; v < high; v++) {
                const vec factor = a[m * wide + v];
                row[v - low] += x * factor;
                next[v - low] += y * factor;
            }
        }
        for (int v = low; v < high; v++) { w[v] = row[v - low]; z[v] = next[v - low]; }
    }

    // the drives of two presentations by rows that both show: each row is loaded once
    template <int wide, int low, int high>
    void sum_two(const vec* __restrict w, vec* __restrict d, int from, int other, int count) const {
        vec all[high - low], next[high - low];
        for (int v = low; v < high; v++) { all[v - low] = d[v]; next[v - low] = d[wide + v]; }
        const real *const __restrict what = value.data() + from, *const __restrict more = value.data() + other;
        for (int e = 0; e < count; e++) {
            const vec x = vec{} + what[e], y = vec{} + more[e];
            for (int v = low; v < high; v++) {
                const vec weight = w[e * wide + v];
                all[v - low] += x * weight;
                next[v - low] += y * weight;
            }
        }
        for (int v = low; v < high; v++) { d[v] = all[v - low]; d[wide + v] = next[v - low]; }
    }

    // the drive of one presentation by some of the inputs that it shows
    template <int wide>
    void sum_up(const vec* __restrict w, vec* __restrict d, int from, int end) const {
        vec all[wide];
        for (int v = 0; v < wide; v++) all[v] = d[v];
        const int* const __restrict index = list.data();
        const real* const __restrict what = value.data();
        for (int e = from; e < end; e++) {
            const vec x = vec{} + what[e];
            const vec* const __restrict row = w + static_cast<size_t>(index[e]) * wide;
            for (int v = 0; v < wide; v++) all[v] += x * row[v];
        }
        for (int v = 0; v < wide; v++) d[v] = all[v];
    }

    // the drive of a presentation as the block began, and by the updates since
    template <int wide>
    void drive_of(int t, int place) {
        const vec* const __restrict p = reinterpret_cast<const vec*>(tile(drive.values, t, K)) + static_cast<size_t>(place) * wide;
        const vec* const __restrict a = reinterpret_cast<const vec*>(tile(update.values, t, K));
        vec* const __restrict to = reinterpret_cast<vec*>(sum.values + t * WIDE * L);
        vec all[wide];
        for (int v = 0; v < wide; v++) all[v] = p[v];
        for (int m = 0; m < filled; m++) {
            const vec both = vec{} + dot[place][m];
            for (int v = 0; v < wide; v++) all[v] += both * a[m * wide + v];
        }
        for (int v = 0; v < wide; v++) to[v] = all[v];
    }
};

// the block of one pathway, by its number
template <class real, int number, int n_pre, int n_post>
inline Block<real, n_pre, n_post>& block() {
    static Block<real, n_pre, n_post> one;
    return one;
}

}  // namespace biofa

#endif
