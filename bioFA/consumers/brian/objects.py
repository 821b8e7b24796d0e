"""Brian2's `objects.cpp`, which allocates, sets and writes all arrays of a program: what bioFA makes of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_GIVEN = re.compile(r"""    if \(name == ("[^"]+")\) {
        var_size = (\d+);
        data_size = .*
        if .*
            // set from single value
            set_variable_from_value<(double|float)>\(name, (\w+), var_size, .*
\s*} else {
            // set from file
            set_variable_from_file\(name, \4, data_size, s_value\);
        }
        return;
    }
""")
_WRITTEN = re.compile(r"""    ofstream (outfile_\w+);
    \1\.open\(results_dir \+ ("[^"]+"), .*
    if\(\1\.is_open\(\)\)
    {
        \1\.write\(reinterpret_cast<char\*>\((\w+)\), (\d+)\*sizeof\(\3\[0\]\)\);
        \1\.close\(\);
    } else
    {
        std::cout << .*
    }
""")
_CLEARED = re.compile(r"""    (\w+) = new (\w+)\[(\d+)\];
\s*
    for\(int i=0; i<\3; i\+\+\) \1\[i\] = 0( \+ i)?;
""")
_ONE_ARRAY = """#include <cstring>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif
template<class T>
void set_array(const std::string& name, T* array, size_t size, const std::string& value) {
    if (value[0] == '-' || (value[0] >= '0' && value[0] <= '9'))
        set_variable_from_value<T>(name, array, size, (T)atof(value.c_str()));
    else set_variable_from_file(name, array, size*sizeof(T), value);
}
// so many times 0, in memory that is not touched before it is written
template<class T>
T* zeros(size_t count) {
    T* const array = new T[count];
    char *const from = reinterpret_cast<char*>(array), *const to = from + count*sizeof(T);
    char *begin = to, *end = to;
#ifdef __linux__
    const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    char* const whole = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(from) + page - 1) / page * page);
    const size_t pages = whole < to ? static_cast<size_t>(to - whole) / page * page : 0;
    if (pages >= 65536 && ::madvise(whole, pages, MADV_DONTNEED) == 0) { begin = whole; end = whole + pages; }
#endif
    std::memset(from, 0, begin - from);
    std::memset(end, 0, to - end);
    return array;
}
template<class T>
void write_array(const char* name, T* array, size_t size) {
    ofstream file(results_dir + name, ios::binary | ios::out);
    file.write(reinterpret_cast<char*>(array), size*sizeof(T));
    file.close();
    if (file.fail()) std::cout << "Error writing output file " << name << endl;
}
template<class T>
void write_value(ofstream& file, T* value) {
    file.write(reinterpret_cast<char*>(value), sizeof(T));
}
"""
_ALIGNED = """
// arrays begin where the widest vectors of numbers are loaded at once
void* operator new[](std::size_t size) {
    void* at = nullptr;
    if (::posix_memalign(&at, 64, size ? size : 64) != 0) throw std::bad_alloc();
    return at;
}
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }
"""
_PUT = """
#include <cstdio>
template<class T>
static bool put(std::FILE* file, const T* array, size_t size) {
    return std::fwrite(array, sizeof(T), size, file) == size;
}
// the state, then the parameters, one after the other (biofa_runtime.h)
bool _put_state(std::FILE* file) {
    using namespace brian;
    return ARRAYS;
}
"""
_LAST = "    // Write last run info to disk\n"
_PARAMETERS = """    ofstream file(results_dir + "parameters", ios::binary | ios::out);
VALUES    file.close();
    if (file.fail()) std::cout << "Error writing output file parameters" << endl;
"""


def shorten(
    objects: str, others: str, states: Collection[str], parameters: Sequence[str]
) -> tuple[str, bool, list[str]]:
    """Brian2's `objects.cpp`, in which each array is set and written by a call, not by a dozen lines of its own, which
    are a good part of what the compiler reads; zeros take no memory before they are written, and numbers of neurons
    none where nobody reads them. What is not as this Brian2 writes it stays as it is.

    Args:
        objects: the text.
        others: that of the files which may read the arrays.
        states: the files of arrays that are written; the others are not.
        parameters: those of parameters, in the order in which the one file `parameters` is to hold their values.

    Returns:
        The text; whether its program writes the file `parameters`, else it writes every array; and the files of the
        states that it writes one after the other, with the parameters after them, where several segments follow each
        other: all that are not listed one by one.
    """
    begin = "void set_variable_by_name("
    if objects.count(begin) != 1:
        return objects + _PUT.replace("ARRAYS", "false"), False, []
    objects = _GIVEN.sub(r"    if (name == \1) return set_array<\3>(name, \4, \2, s_value);\n", objects)
    found = {match[2].strip('"'): (match[3], match[4]) for match in _WRITTEN.finditer(objects)}
    together = _LAST in objects and all(found.get(name, ("", ""))[1] == "1" for name in parameters)

    def call(match: re.Match[str]) -> str:
        wanted = not together or match[2].strip('"') in states
        return f"    write_array({match[2]}, {match[3]}, {match[4]});\n" if wanted else ""

    numbered = {match[1] for match in _CLEARED.finditer(objects) if match[4]}
    read = {name for name in numbered if not together or re.search(rf"\b{name}\b", others)}

    def clear(match: re.Match[str]) -> str:
        if match[1] not in numbered:
            return f"    {match[1]} = zeros<{match[2]}>({match[3]});\n"
        return match[0] if match[4] and match[1] in read else ""

    objects = _CLEARED.sub(clear, _WRITTEN.sub(call, objects))
    if together:
        values = "".join(f"    write_value(file, {found[name][0]});\n" for name in parameters)
        objects = objects.replace(_LAST, f"{_PARAMETERS.replace('VALUES', values)}{_LAST}")
    handed = [name for name in found if name in states] if together else []
    puts = [f"put(file, {found[name][0]}, {found[name][1]})" for name in (*handed, *parameters)] if together else []
    put = _PUT.replace("ARRAYS", "\n        && ".join(puts) or "false")
    return objects.replace(begin, _ONE_ARRAY + begin) + _ALIGNED + put, together, handed
