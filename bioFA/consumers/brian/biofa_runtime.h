// What a compiled bioFA program needs at run time: the plan of one segment of presentations.
//
// The plan is a text file in the results folder. It names the tables and rows that the sources
// show (memory-mapped, so data are never copied; numbers, or bytes that stand for 256 levels) and
// says how many presentations to run, how many steps each lasts, from which step learning is on,
// which pathways do not learn, into how many bins a presentation is divided, and what to record; or
// which steps of one trial to run, which spikes and traces to keep, and what is under way. Everything that can go wrong ends the program with a message and a non-zero
// exit code; a segment that ended well leaves "done.txt" behind. The program ends with its parent.
//
// Started with `--serve PARENT`, the program serves segment after segment: it reads the arguments of one from its standard
// input, runs it in a fork of itself, which begins like a program started for that segment alone, and writes "ended" when
// that has ended well. When a segment ends otherwise, so does the program.
//
// Where the plan names stops, several segments follow each other in one: at each stop the state is appended to "handed",
// with the parameters and the number of presentations so far as its mark, and the program says so; the next segment begins
// from it, counting its steps from 0 as if it were alone.
#ifndef BIOFA_RUNTIME_H
#define BIOFA_RUNTIME_H

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif
#include "biofa_draws.h"
#include "biofa_team.h"

namespace biofa {

// What is marked noinline is compiled once, not once for each of the dozens of steps that call it: it would be most of what
// the compiler does. It is called once a step or more rarely.
[[noreturn, gnu::noinline]] inline void fail(const char* message, const char* of = "") {
    std::fprintf(stderr, "bioFA error: %s%s\n", message, of);
    std::exit(70);
}

[[noreturn, gnu::noinline]] inline void fail(const std::string& message) { fail(message.c_str()); }

// Values by name, few enough to be looked for one after the other; they stay where they are, until the program ends.
template <class Value>
struct Named {
    struct Entry {
        std::string first;
        Value second;
        Entry* next;
        Entry(const std::string& name, Entry* next) : first(name), second(), next(next) {}
    };
    Entry* entries = nullptr;

    [[gnu::noinline]] Entry* find(const char* name) const {
        Entry* one = entries;
        while (one && std::strcmp(one->first.c_str(), name) != 0) one = one->next;
        return one;
    }
    [[gnu::noinline]] Value& operator[](const std::string& name) {
        Entry* const found = find(name.c_str());
        if (!found) entries = new Entry(name, entries);
        return found ? found->second : entries->second;
    }
};

struct Mapped {  // a whole file, read only
    const char* bytes = nullptr;
    size_t size = 0;
    [[gnu::noinline]] void open(const std::string& path) {
        const int file = ::open(path.c_str(), O_RDONLY);
        struct stat info;
        if (file < 0 || ::fstat(file, &info) != 0) fail("cannot open " + path);
        size = static_cast<size_t>(info.st_size);
        if (size > 0) {
            void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
            if (at == MAP_FAILED) fail("cannot map " + path);
            bytes = static_cast<const char*>(at);
        }
        ::close(file);
    }
};

struct Source {
    Mapped table, rows, levels;  // with levels, the table holds bytes and levels[byte] is shown; with one level, the byte itself
    int64_t bins = 1;            // so many rows, of equal length in time, are one presentation
};

// The spikes of a source: those of step n, counted from the first that is run, or of its presentation, are of the neurons
// which[first[n]] to before which[first[n + 1]].
struct Train {
    Mapped first, which;
};

// Numbers below 1e-308, such as a conductance long after the last spike, count as 0: they would cost a hundredfold.
inline void flush_smallest() {
#if defined(__SSE2__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
    uint64_t mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    asm volatile("msr fpcr, %0" : : "r"(mode | (uint64_t(1) << 24)));
#endif
}

// The neurons of a population that send something in this step, and what each sends. Every thread lists those that it owns;
// lists of the step before stay, for threads that are behind.
struct Senders {
    struct List {
        int from, count;
        char rest[56];  // so that no two threads write to one line of a cache
    };
    struct Found {
        int count;
        const int32_t* which;
        const double* sent;
    };
    static const int MOST = 256;  // threads
    std::vector<int32_t> which;
    std::vector<double> sent;
    std::vector<List> lists;
    size_t room = 0;
    int threads = 1;

    // room for all, before threads write to it
    void make(int size, int64_t most) {
        room = static_cast<size_t>(size) + 64;
        which.resize(2 * room);
        sent.resize(2 * room);
        threads = static_cast<int>(most);
        lists.resize(2 * static_cast<size_t>(most));
    }

    // those that a thread has listed in a step
    Found of(int64_t step, int thread) const {
        const size_t turn = static_cast<size_t>(step & 1);
        const List& list = lists[2 * static_cast<size_t>(thread) + turn];
        const size_t from = turn * room + static_cast<size_t>(list.from);
        return Found{list.count, which.data() + from, sent.data() + from};
    }

    template <class real>
    void gather(const real* __restrict values, int size, int64_t step) {
        const Range mine = own(size);
        const size_t turn = static_cast<size_t>(step & 1);
        int32_t* const __restrict list = which.data() + turn * room;
        double* const __restrict value = sent.data() + turn * room;
        int found = mine.from, at = mine.from;
        const auto look = [&](int end) {
            for (int i = at; i < end; i++)
                if (values[i] != 0) { list[found] = i; value[found++] = values[i]; }
        };
        for (; at + 64 <= mine.to; at += 64) {  // mostly all are silent
            uint64_t any[8] = {};
            for (int k = 0; k < 64; k += static_cast<int>(64 / sizeof(real))) {
                uint64_t bits[8];
                std::memcpy(bits, values + at + k, sizeof bits);
                for (int b = 0; b < 8; b++) any[b] |= bits[b];
            }
            uint64_t all = 0;
            for (int b = 0; b < 8; b++) all |= any[b];
            if (all != 0) look(at + 64);
        }
        look(mine.to);
        List& kept = lists[2 * static_cast<size_t>(seat().number) + turn];
        kept.from = mine.from;
        kept.count = found - mine.from;
    }
};

// What is under way on a pathway: a row for every step of the segment that leaves the same rest divided by their number.
// In files, the first row is that of the next step.
struct UnderWay {
    int64_t slots = 0, width = 0;
    std::vector<double> values;
    [[gnu::noinline]] void open(const std::string& path) {
        Mapped file;
        file.open(path);
        if (file.size != static_cast<size_t>(slots * width) * sizeof(double)) fail("what is under way is incomplete: " + path);
        values.resize(static_cast<size_t>(slots * width));
        if (file.size) { std::memcpy(values.data(), file.bytes, file.size); ::munmap(const_cast<char*>(file.bytes), file.size); }
    }
    double* row(int64_t step, int64_t expected) {
        if (expected != width) fail("what is under way has another width");
        return values.data() + step % slots * width;
    }
    void clear() { std::fill(values.begin(), values.end(), 0.0); }
};

// What synapses keep from spike to spike. Steps since a spike stand here as the step of the spike.
struct Kept {
    std::vector<double> values;
    double begins = 0;
    bool counts = false;
    void forget(int64_t step) { std::fill(values.begin(), values.end(), counts ? static_cast<double>(step) - begins : begins); }
};

// Some neurons, or synapses, of one variable, kept every so often from a step to before another. Every thread takes those
// neurons that it owns; the row of the step before stays, for the thread that writes it.
struct Trace {
    std::string variable;
    int64_t from = 0, until = 0, every = 1;
    std::vector<int64_t> neurons;
    std::vector<char> rows;
    size_t width = 0;  // of a row, in bytes
    std::FILE* file = nullptr;

    bool due(int64_t time) const { return time >= from && time < until && (time - from) % every == 0; }

    // of so many neurons; 0 where the values are not neurons'
    template <class real>
    void take(int64_t step, int64_t time, const real* values, int size) {
        if (!due(time)) return;
        const Range mine = own(size);
        real* const row = reinterpret_cast<real*>(rows.data() + static_cast<size_t>(step & 1) * width);
        for (size_t i = 0; i < neurons.size(); i++)
            if (size == 0 || (neurons[i] >= mine.from && neurons[i] < mine.to)) row[i] = values[neurons[i]];
    }
};

// Spikes that are kept: pairs of a neuron and the step of the trial.
struct Spikes {
    std::FILE* file = nullptr;
    std::vector<int32_t> waiting;
    [[gnu::noinline]] void write() {
        if (!file || std::fwrite(waiting.data(), 4, waiting.size(), file) != waiting.size()) fail("cannot write spikes");
        waiting.clear();
    }
};

// a parent that is killed cannot end its child, so the child asks to be ended with it
inline void end_with(long parent) {
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (::kill(static_cast<pid_t>(parent), 0) != 0 && errno == ESRCH) fail("the process that started this one is gone");
}

// the arguments of the next segment, each ended by a zero byte, all by another; false when there is none
inline bool next_order(std::vector<std::string>& order) {
    static std::string read;
    for (;;) {
        size_t from = 0, end;
        order.clear();
        while ((end = read.find('\0', from)) != std::string::npos && end > from) {
            order.push_back(read.substr(from, end - from));
            from = end + 1;
        }
        if (end != std::string::npos) { read.erase(0, end + 1); return true; }
        char part[4096];
        const ssize_t count = ::read(0, part, sizeof part);
        if (count > 0) read.append(part, static_cast<size_t>(count));
        else if (count == 0 && read.empty()) return false;
        else if (count == 0) fail("the arguments of a segment are incomplete");
        else if (errno != EINTR) fail("the arguments of a segment cannot be read");
    }
}

inline pid_t fork_when_possible() {
    for (int tries = 0;; tries++) {
        const pid_t child = ::fork();
        if (child >= 0) return child;
        if (tries == 60 || (errno != EAGAIN && errno != ENOMEM)) fail("no process can be started for a segment");
        ::usleep(50000);
    }
}

// Where the program is to serve, it returns in a process of its own for every segment, with that segment's arguments, and
// after them those that stand on the command line.
[[gnu::noinline]] inline void serve(std::vector<std::string>& args, std::string& results_folder) {
    if (args.size() < 2 || args[0] != "--serve") return;
    const std::vector<std::string> more(args.begin() + 2, args.end());
    end_with(std::atol(args[1].c_str()));
    const pid_t server = ::getpid();
    std::vector<std::string> order;
    while (next_order(order)) {
        const pid_t child = fork_when_possible();
        if (child == 0) {
            end_with(server);
            if (::getppid() != server) fail("the process that started this one is gone");
            if (order.size() < 2 || order[0] != "--results_dir") fail("the arguments of a segment name no folder");
            results_folder = order[1];
            args.assign(order.begin() + 2, order.end());
            args.insert(args.end(), more.begin(), more.end());
            return;
        }
        int status = 0;
        while (::waitpid(child, &status, 0) < 0)
            if (errno != EINTR) fail("the end of a segment was missed");
        if (WIFSIGNALED(status)) { std::signal(WTERMSIG(status), SIG_DFL); ::kill(server, WTERMSIG(status)); }
        if (status != 0) std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 70);
        if (::write(1, "ended\n", 6) != 6) std::_Exit(70);
    }
    std::_Exit(0);
}

struct Segment {
    std::string folder;
    int64_t presentations = 0, steps = 1, shown = 1, onset = 0, first = 0, every = 1, learning = 0, rasters = 0;
    int64_t threads = 1;
    int64_t begins = 0, ends = -1;  // where only a part of one presentation is run, its steps
    int64_t at = 0, together = 1;   // the step that is run, and how many with it (biofa_batch.h)
    std::vector<int64_t> stops;     // after how many presentations the state is handed out
    int64_t before = 0;             // presentations before the last of them that has passed
    std::FILE* left = nullptr;       // what stops leave of the state
    Named<Source> sources;
    Named<UnderWay> on_the_way;
    Named<std::string> paths;
    Named<Kept> kept;
    Named<Mapped> courses;
    Named<Train> trains;
    Named<bool> same;  // whose random numbers are those of the first presentation in all
    std::vector<Trace> traces;
    Named<Spikes> spiked;
    Named<uint64_t> keys;
    Named<std::FILE*> records;
    std::vector<char> frozen;  // by the number of a pathway: whether its learning is off
    bool finished = false;

    [[gnu::noinline]] void begin(const std::string& results_folder) {
        flush_smallest();
        folder = results_folder;
        std::ifstream plan(folder + "plan.txt");
        if (!plan) fail("there is no plan in " + folder);
        std::string word, name;
        long parent = 0;
        while (plan >> word) {
            if (word == "presentations") plan >> presentations;
            else if (word == "steps") plan >> steps;
            else if (word == "shown") plan >> shown;
            else if (word == "onset") plan >> onset;
            else if (word == "rasters") plan >> rasters;
            else if (word == "key") { plan >> name; plan >> keys[name]; }
            else if (word == "first") plan >> first;
            else if (word == "stop") { int64_t stop = 0; plan >> stop; stops.push_back(stop); }
            else if (word == "every") plan >> every;
            else if (word == "learning") plan >> learning;
            else if (word == "threads") plan >> threads;
            else if (word == "parent") { plan >> parent; end_with(parent); }
            else if (word == "frozen") { size_t number = 0; plan >> number; frozen.resize(std::max(frozen.size(), number + 1)); frozen[number] = 1; }
            else if (word == "record") { plan >> name; records[name] = nullptr; }
            else if (word == "levels") { plan >> name; sources[name].levels.open(rest_of_line(plan)); }
            else if (word == "table") { plan >> name; sources[name].table.open(rest_of_line(plan)); }
            else if (word == "bins") { plan >> name; plan >> sources[name].bins; }
            else if (word == "span") plan >> begins >> ends;
            else if (word == "under_way") {
                plan >> name;
                UnderWay& one = on_the_way[name];
                plan >> one.slots >> one.width;
                one.open(rest_of_line(plan));
            }
            else if (word == "kept") {
                plan >> name;
                Kept& one = kept[name];
                plan >> one.begins;
                one.counts = name.size() > 6 && name.compare(name.size() - 6, 6, ".since") == 0;
                Mapped file;
                file.open(rest_of_line(plan));
                const double* const values = reinterpret_cast<const double*>(file.bytes);
                one.values.assign(values, values + file.size / sizeof(double));
                if (one.counts) for (double& value : one.values) value = -value;
            }
            else if (word == "course") { plan >> name; courses[name].open(rest_of_line(plan)); }
            else if (word == "train") { plan >> name; const std::string path = rest_of_line(plan); trains[name].first.open(path + ".first"); trains[name].which.open(path + ".which"); }
            else if (word == "same") { plan >> name; same[name] = true; }
            else if (word == "synapses") { plan >> name; paths[name] = rest_of_line(plan); }
            else if (word == "trace") {
                Trace one;
                int64_t count = 0;
                plan >> one.variable >> one.from >> one.until >> one.every >> count;
                if (count < 0) {
                    Mapped file;
                    file.open(rest_of_line(plan));
                    const int64_t* const places = reinterpret_cast<const int64_t*>(file.bytes);
                    one.neurons.assign(places, places + file.size / sizeof(int64_t));
                }
                else one.neurons.resize(static_cast<size_t>(count));
                if (count > 0) for (int64_t& neuron : one.neurons) plan >> neuron;
                traces.push_back(one);
            }
            else if (word == "rows") { plan >> name; sources[name].rows.open(rest_of_line(plan)); }
            else fail("the plan holds the unknown word " + word);
            if (!plan) fail("the plan is damaged at " + word);
        }
        if (threads < 1 || threads > Senders::MOST) fail("the plan asks for too few or too many threads");
        if (presentations < 1 || steps < 1 || shown < 1 || shown > steps || every < 1) fail("the plan is incomplete");
        if (ends >= 0 && (presentations != 1 || begins < 0 || ends < begins || ends > steps)) fail("the plan has no such steps");
    }

    int64_t total() const { return ends >= 0 ? ends - begins : presentations * steps; }
    [[gnu::noinline]] UnderWay& under_way(const std::string& name) {
        const auto found = on_the_way.find(name.c_str());
        if (!found) fail("the plan says nothing of what is under way on " + name);
        return found->second;
    }
    [[gnu::noinline]] std::vector<double>& kept_by(const std::string& name, size_t count) {
        const auto found = kept.find(name.c_str());
        if (!found || found->second.values.size() != count) fail("the plan does not say what is kept: " + name);
        return found->second.values;
    }
    [[gnu::noinline]] void forget(const std::string& name, int64_t step) {
        if (!first_step(step)) return;
        const std::string parts = name + ".";
        for (auto* one = on_the_way.entries; one; one = one->next)
            if (one->first == name || one->first.compare(0, parts.size(), parts) == 0) one->second.clear();
        for (auto* one = kept.entries; one; one = one->next)
            if (one->first.compare(0, parts.size(), parts) == 0) one->second.forget(step);
    }
    [[gnu::noinline]] const std::string& path_of(const std::string& name) const {
        const auto found = paths.find(name.c_str());
        if (!found) fail("the plan has no synapses for " + name);
        return found->second;
    }

    static std::string rest_of_line(std::ifstream& plan) {
        std::string path;
        std::getline(plan >> std::ws, path);
        return path;
    }

    // the presentation of a step, and whether it is that presentation's first step, or the last before its blank
    int64_t presentation(int64_t step) const { return steps == 1 ? step + begins : (step + begins) / steps; }
    int64_t step_of_presentation(int64_t step) const { return steps == 1 ? 0 : (step + begins) % steps; }
    bool first_step(int64_t step) const { return step_of_presentation(step) == 0; }
    bool last_step(int64_t step) const { return step_of_presentation(step) == shown - 1; }
    bool taught(int64_t step) const { const int64_t now = step_of_presentation(step); return now >= onset && now < shown; }
    bool remembers(int64_t, size_t pathway) const { return learning && !(pathway < frozen.size() && frozen[pathway]); }
    bool learns(int64_t step, size_t pathway) const { return remembers(step, pathway) && taught(step); }
    bool recorded(int64_t step) const {  // this presentation, or one of those that are run with it
        const int64_t past = (first + presentation(step)) % every;
        return last_step(step) && (past == 0 || every - past < together);
    }
    bool looks(int64_t step) const { return last_step(step) || (learning && taught(step)); }
    bool ends_batch(int64_t step, size_t pathway, double batch) const {
        return learns(step, pathway) && last_step(step) && (first + presentation(step) + 1) % static_cast<int64_t>(batch) == 0;
    }
    bool last(int64_t step) const { return step + 1 >= total(); }

    [[gnu::noinline]] const Source& source_of(const char* name) const {
        const auto found = sources.find(name);
        if (!found) fail("the plan shows nothing at ", name);
        return found->second;
    }

    // copy the row that a source shows in a presentation, or in one of its bins
    template <class real>
    void show_row(const char* name, int64_t k, real* rates, size_t count, int64_t bin = 0) const {
        show_row(source_of(name), name, k, rates, count, bin);
    }
    template <class real>
    [[gnu::noinline]] void show_row(const Source& source, const char* name, int64_t k, real* rates, size_t count, int64_t bin) const {
        if (static_cast<size_t>(before + k + 1) * sizeof(int64_t) > source.rows.size) fail("too few rows for ", name);
        const int64_t index = reinterpret_cast<const int64_t*>(source.rows.bytes)[before + k] * source.bins + bin;
        const size_t width = count * (source.levels.bytes ? 1 : sizeof(real));
        if (index < 0 || static_cast<size_t>(index + 1) * width > source.table.size)
            fail("row outside the table of ", name);
        const char* row = source.table.bytes + static_cast<size_t>(index) * width;
        if (!source.levels.bytes) { std::memcpy(rates, row, width); return; }
        const real* levels = reinterpret_cast<const real*>(source.levels.bytes);
        const unsigned char* const bytes = reinterpret_cast<const unsigned char*>(row);
        if (source.levels.size == sizeof(real)) for (size_t i = 0; i < count; i++) rates[i] = bytes[i];
        else if (source.levels.size == 256 * sizeof(real)) for (size_t i = 0; i < count; i++) rates[i] = levels[bytes[i]];
        else fail("not 256 levels for ", name);
    }

    // for how many steps a source shows the same
    int64_t length(const Source& source) const { return source.bins <= 1 ? shown : shown / source.bins; }
    int64_t length(const char* name) const {
        const auto found = sources.find(name);
        return !found ? shown : length(found->second);
    }
    [[gnu::noinline]] bool changes(const char* name, int64_t step) const {
        const int64_t now = step_of_presentation(step);
        return now < shown && now % length(name) == 0;
    }
    // the step from which on a pathway may have other weights than now
    int64_t rests(int64_t step, size_t pathway) const {
        const int64_t now = step_of_presentation(step);
        return remembers(step, pathway) && now < shown ? step + std::max<int64_t>(onset - now, 0) + 1 : step - now + steps;
    }

    template <class real>
    void show(const Source& source, const char* name, int64_t step, real* rates, size_t count) const {
        if (steps == 1 && source.bins == 1) return show_row(source, name, presentation(step), rates, count, 0);
        const int64_t length = this->length(source), now = step_of_presentation(step);
        if (now < shown && now % length == 0) show_row(source, name, presentation(step), rates, count, now / length);
        else if (now == shown) std::fill(rates, rates + count, real(0));
    }

    // where the random numbers of one purpose stand in a step
    [[gnu::noinline]] uint64_t place(const char* name, int64_t step, uint64_t changed = 0) const {
        const auto found = keys.find(name);
        if (!found) fail("the plan has no key for ", name);
        const int64_t presented = same.find(name) ? 0 : first + presentation(step);
        return counted(counted(found->second ^ changed, presented), step_of_presentation(step));
    }

    // the number of a step in what is handed to sources: counted from the first that is run, or of its presentation
    int64_t handed(int64_t step) const { return ends >= 0 ? step : step_of_presentation(step); }

    [[gnu::noinline]] double course(const char* name, int64_t step) const {
        const auto found = courses.find(name);
        const size_t at = static_cast<size_t>(handed(step));
        if (!found || (at + 1) * sizeof(double) > found->second.size) fail("the course ends too early of ", name);
        return reinterpret_cast<const double*>(found->second.bytes)[at];
    }

    template <class real>
    [[gnu::noinline]] void spike(const char* name, int64_t step, real* spikes, size_t count) const {
        const auto found = trains.find(name);
        const size_t at = static_cast<size_t>(handed(step));
        if (!found || (at + 2) * sizeof(int64_t) > found->second.first.size) fail("the spikes end too early of ", name);
        const int64_t* const first = reinterpret_cast<const int64_t*>(found->second.first.bytes) + at;
        const int32_t* const which = reinterpret_cast<const int32_t*>(found->second.which.bytes);
        if (static_cast<size_t>(first[1]) * sizeof(int32_t) > found->second.which.size) fail("spikes are missing of ", name);
        const Range mine = own(static_cast<int>(count));
        std::fill(spikes + mine.from, spikes + mine.to, real(0));
        for (int64_t k = first[0]; k < first[1]; k++)
            if (which[k] >= mine.from && which[k] < mine.to) spikes[which[k]] += real(1);
    }

    // uniform numbers in [0, 1) for one step, one a neuron, of those that this thread owns
    template <class real>
    [[gnu::noinline]] void draw(const char* name, int64_t step, real* numbers, size_t count) const {
        const int bits = sizeof(real) == 8 ? 53 : 24;
        const real unit = real(1) / real(uint64_t(1) << bits);
        const uint64_t from = place(name, step);
        const Range mine = own(static_cast<int>(count));
        for (int i = mine.from; i < mine.to; i++) numbers[i] = real(counted(from, i) >> (64 - bits)) * unit;
    }

    // normal numbers of mean 0 and variance 1
    template <class real>
    [[gnu::noinline]] void draw_normal(const char* name, int64_t step, real* numbers, size_t count) const {
        const uint64_t from = place(name, step), second = place(name, step, SECOND);
        const Range mine = own(static_cast<int>(count));
        for (int i = mine.from; i < mine.to; i++) {
            const double radius = std::sqrt(-2.0 * std::log1p(-uniform(from, i)));
            numbers[i] = real(radius * std::cos(2.0 * 3.141592653589793 * uniform(second, i)));
        }
    }

    // every spike of this step, as one byte a neuron
    template <class real>
    [[gnu::noinline]] void raster(const char* name, const real* spikes, size_t count) {
        if (!rasters) return;
        std::FILE*& file = records[std::string(name) + " raster"];
        if (!file) file = std::fopen((folder + name + ".raster").c_str(), "wb");
        std::vector<unsigned char> bytes(count);
        for (size_t i = 0; i < count; i++) bytes[i] = spikes[i] != 0;
        if (!file || std::fwrite(bytes.data(), 1, count, file) != count) fail("cannot write the raster of ", name);
    }

    template <class real>
    [[gnu::noinline]] void record(const char* name, const real* values, size_t count) {
        const auto found = records.find(name);
        if (!found) return;
        std::FILE*& file = found->second;
        if (!file) file = std::fopen((folder + name + ".record").c_str(), "wb");
        if (!file || std::fwrite(values, sizeof(real), count, file) != count) fail("cannot write the record of ", name);
    }

    [[gnu::noinline]] Spikes& spikes_of(const char* name) {
        Spikes& one = spiked[name];
        if (!one.file) one.file = std::fopen((folder + name + ".spikes").c_str(), "wb");
        if (!one.file) fail("cannot write the spikes of ", name);
        return one;
    }

    // every spike of this step
    [[gnu::noinline]] void keep(Spikes& one, int64_t step, const Senders& senders) const {
        const int32_t time = static_cast<int32_t>(step_of_presentation(step));
        for (int t = 0; t < senders.threads; t++) {
            const Senders::Found found = senders.of(step, t);
            for (int k = 0; k < found.count; k++) {
                one.waiting.push_back(found.which[k]);
                one.waiting.push_back(time);
            }
        }
        if (one.waiting.size() > 16384) one.write();
    }

    // the traces of a variable
    template <class real>
    [[gnu::noinline]] std::vector<Trace*> traces_of(const char* name, const real*) {
        std::vector<Trace*> found;
        for (Trace& one : traces)
            if (one.variable == name) {
                one.width = one.neurons.size() * sizeof(real);
                one.rows.resize(2 * one.width);
                found.push_back(&one);
            }
        return found;
    }

    // what has been taken of this step
    [[gnu::noinline]] void write_traces(int64_t step) {
        for (size_t number = 0; number < traces.size(); number++) {
            Trace& one = traces[number];
            if (!one.due(step_of_presentation(step))) continue;
            if (!one.file) one.file = std::fopen((folder + std::to_string(number) + ".trace").c_str(), "wb");
            const char* const row = one.rows.data() + static_cast<size_t>(step & 1) * one.width;
            if (!one.file || std::fwrite(row, 1, one.width, one.file) != one.width) fail("cannot write the trace of " + one.variable);
        }
    }

    // what a stop leaves: everything that is recorded so far, the state and its mark
    [[gnu::noinline]] void hand_out(bool (*put_state)(std::FILE*)) {
        for (auto* record = records.entries; record; record = record->next)
            if (record->second && std::fflush(record->second) != 0) fail("cannot write the record of " + record->first);
        if (!left) left = std::fopen((folder + "handed").c_str(), "wb");
        const int64_t mark = before + presentations;
        if (!left || !put_state(left) || std::fwrite(&mark, sizeof mark, 1, left) != 1 || std::fflush(left) != 0)
            fail("cannot write the state at a stop");
        if (::write(1, "handed\n", 7) != 7) fail("cannot say that a stop has passed");
    }

    [[gnu::noinline]] void end() {
        for (auto* one = spiked.entries; one; one = one->next) {
            one->second.write();
            if (std::fclose(one->second.file) != 0) fail("cannot finish the spikes of " + one->first);
        }
        for (auto& one : traces)
            if (one.file && std::fclose(one.file) != 0) fail("cannot finish the trace of " + one.variable);
        for (auto* one = on_the_way.entries; one; one = one->next) {
            std::FILE* const file = std::fopen((folder + one->first + ".under_way").c_str(), "wb");
            const std::vector<double>& all = one->second.values;
            const size_t from = static_cast<size_t>(one->second.slots > 0 ? total() % one->second.slots * one->second.width : 0);
            const size_t rest = all.size() - from;
            if (!file || std::fwrite(all.data() + from, sizeof(double), rest, file) != rest ||
                std::fwrite(all.data(), sizeof(double), from, file) != from || std::fclose(file) != 0)
                fail("cannot write what is under way on " + one->first);
        }
        for (auto* one = kept.entries; one; one = one->next) {
            if (one->second.counts) for (double& value : one->second.values) value = static_cast<double>(total()) - value;
            std::FILE* const file = std::fopen((folder + one->first + ".kept").c_str(), "wb");
            const std::vector<double>& all = one->second.values;
            if (!file || std::fwrite(all.data(), sizeof(double), all.size(), file) != all.size() || std::fclose(file) != 0)
                fail("cannot write what is kept: " + one->first);
        }
        for (auto* record = records.entries; record; record = record->next)
            if (record->second && std::fclose(record->second) != 0) fail("cannot finish the record of " + record->first);
        std::ofstream done(folder + "done.txt");
        done << (finished ? "finished " : "stopped ") << total() << "\n";
        done.close();
        if (!done) fail("cannot write done.txt");
    }
};

[[gnu::noinline]] inline Segment& segment() {
    static Segment one;
    return one;
}

[[gnu::noinline]] inline Senders& senders(const std::string& name, int size = 0) {
    static Named<Senders> all;
    Senders& one = all[name];
    if (size > 0 && one.which.empty()) one.make(size, segment().threads);
    return one;
}

// All steps of the segment, in place of the simulator's own loop, which looks up clocks in sets
// and reads the processor's time in every step: for small networks that costs more than the
// network does. The simulator's loop then finds nothing left to do.
//
// Where the plan says so, threads walk through them together; `shared` says of which steps they do their parts
// (biofa_team.h), and any other is done by one of them. `put_state` writes the state and the parameters to a file.
template <class Network>
void run(Network& network, const std::vector<Work>& shared, bool (*put_state)(std::FILE*)) {
    std::vector<Work> works;
    bool any = false;
    for (const auto& object : network.objects) {
        if (!object.second) continue;
        Work found = {object.second, ALONE};
        for (const Work& one : shared)
            if (one.call == object.second) found = one;
        works.push_back(found);
        any |= found.shared == OWN || found.shared == SENDS || found.shared == READS;
    }
    Segment& whole = segment();
    const int64_t first = whole.first, presentations = whole.presentations;
    bring_forward(works);
    whole.stops.push_back(presentations);
    for (const int64_t stop : whole.stops) {
        if (stop <= whole.before && whole.stops.size() > 1) fail("the plan has no such stops");
        whole.presentations = stop - whole.before;
        whole.first = first + whole.before;
        if (whole.threads > 1 && any) {
            Walk<void (*)()> walk(works, whole.total(), static_cast<int>(whole.threads), flush_smallest);
            if (!walk.start()) fail("no more threads can be started");
        } else {
            const Work *const begin = works.data(), *const end = begin + works.size();
            const int64_t total = whole.total();
            now() = 0;
            for (whole.at = 0; whole.at < total; whole.at += whole.together, now()++)
                for (const Work* one = begin; one != end; one++) one->call();
        }
        if (stop < presentations) whole.hand_out(put_state);
        whole.before = stop;
    }
    whole.presentations = presentations;
    whole.first = first;
    whole.finished = true;
    network.objects.clear();
}

}  // namespace biofa

#endif
