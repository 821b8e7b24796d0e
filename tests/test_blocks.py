"""The kernel of blocks by itself (biofa_block.h), in networks of sizes that fill no tile, against a loop in NumPy."""

import subprocess

import numpy as np
import pytest

from bioFA.consumers.brian import compile as compiling

pytestmark = pytest.mark.compiled
SIZES = [(1, 1), (7, 150), (130, 37), (70, 260)]
"""Inputs and neurons: one of each, more tiles than one, more blocks of rows than one, both."""

DRIVER = """
#include "biofa_block.h"
template <class real> std::vector<real> read(const std::string& path) {
    biofa::Mapped file;
    file.open(path);
    const real* const values = reinterpret_cast<const real*>(file.bytes);
    return std::vector<real>(values, values + file.size / sizeof(real));
}
// in a folder: inputs x, their order, weights w, factors f, all that is computed of them, and where a segment ends
template <class real, int pre, int post> void run(const std::string& folder, double keep, bool learns) {
    std::vector<real> w = read<real>(folder + "w"), drives;
    const std::vector<real> factors = read<real>(folder + "f");
    const std::vector<int64_t> ends = read<int64_t>(folder + "ends"), rows = read<int64_t>(folder + "rows");
    int64_t from = 0;
    for (const int64_t end : ends) {
        biofa::Segment segment;
        segment.presentations = end - from;
        segment.sources["input"].table.open(folder + "x");
        segment.sources["input"].rows.bytes = reinterpret_cast<const char*>(&rows[from]);
        segment.sources["input"].rows.size = static_cast<size_t>(end - from) * sizeof(int64_t);
        auto& block = biofa::block<real, 0, pre, post>();
        for (int64_t k = 0; k < end - from; k++) {
            std::vector<real> port(post, real(0.5));
            block.transmit(segment, k, "input", w.data(), port.data(), true, learns);
            drives.insert(drives.end(), port.begin(), port.end());
            if (learns) {
                real* const update = block.next_update();
                for (int i = 0; i < post; i++) update[i] = factors[(from + k) * post + i] * (1 + port[i]);
                block.learn(keep);
            }
            block.finish(segment, k, w.data());
        }
        from = end;
    }
    std::FILE* const file = std::fopen((folder + "out").c_str(), "wb");
    std::fwrite(drives.data(), sizeof(real), drives.size(), file);
    std::fwrite(w.data(), sizeof(real), w.size(), file);
    std::fclose(file);
}
int main(int, char** given) {
    const std::string folder = given[1], which = given[2];
    const double keep = std::atof(given[3]);
    const bool learns = given[4][0] == '1';
    RUNS
    return 1;
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A function that runs the kernel, compiled once for all sizes, and gives drives and weights."""
    folder = tmp_path_factory.mktemp("driver")
    runs = "\n".join(
        f'if (which == "{kind}-{pre}-{post}") return run<{real}, {pre}, {post}>(folder, keep, learns), 0;'
        for kind, real, sizes in (("float64", "double", SIZES), ("float32", "float", SIZES[-1:]))
        for pre, post in sizes
    )
    (folder / "driver.cpp").write_text(DRIVER.replace("RUNS", runs))
    headers = compiling.__file__.rpartition("/")[0]
    command = [*compiling.compiler(), *compiling.flags(), f"-I{headers}", "driver.cpp", "-o", "driver"]
    subprocess.run(command, cwd=folder, check=True)

    def run(x, order, w, factors, ends, keep=1.0, learns=True, precision="float64"):
        kinds = {"x": precision, "w": precision, "f": precision, "ends": np.int64, "rows": np.int64}
        for name, array in {"x": x, "w": w, "f": factors, "ends": ends, "rows": order}.items():
            np.asarray(array, dtype=kinds[name]).tofile(folder / name)
        which = f"{precision}-{w.shape[1]}-{w.shape[0]}"
        subprocess.run([folder / "driver", f"{folder}/", which, repr(keep), str(int(learns))], check=True)
        found = np.fromfile(folder / "out", dtype=precision).astype(float)
        count = len(order) * len(w)
        return found[:count].reshape(-1, len(w)), found[count:].reshape(w.shape)

    return run


def expected(x, order, w, factors, keep=1.0):
    """W <- keep W + a x' after every presentation, with a = f (1 + u) and u = 0.5 + W x."""
    w, drives = w.copy(), []
    for k, row in enumerate(order):
        drives.append(0.5 + w @ x[row])
        w = keep * w + np.outer(factors[k] * (1 + drives[-1]), x[row])
    return np.array(drives), w


def case(pre, post, presentations, share):
    """Inputs of which a share is not zero, one in three all zero if it is not 1; an order, weights and factors."""
    generator = np.random.default_rng([pre, post, presentations])
    x = generator.normal(size=(40, pre)) * (generator.random((40, pre)) < share) / np.sqrt(pre)
    x[::3] *= share == 1
    order = generator.integers(0, len(x), presentations)
    factors = 0.1 * generator.normal(size=(presentations, post))
    return x, order, generator.normal(size=(post, pre)), factors


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("pre", "post"), SIZES)
def test_blocks_are_a_loop_that_learns_after_every_presentation(driver, pre, post, share):
    given = case(pre, post, 101, share)
    for found, right in zip(driver(*given, [101]), expected(*given), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-13 * np.abs(right).max())


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_blocks_of_float32_agree_to_its_precision(driver, share):
    given = case(*SIZES[-1], 101, share)
    for found, right in zip(driver(*given, [101], precision="float32"), expected(*given), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("keep", [0.99, 0.3, 0.0, -0.5, 1.3])
def test_decay_is_one_number_however_strong(driver, keep):
    given = case(70, 260, 70, 0.3)
    for found, right in zip(driver(*given, [70], keep), expected(*given, keep), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-12 * np.abs(right).max())


@pytest.mark.parametrize("ends", [[1, 2, 3, 70], [31, 70], [33, 34, 70], [69, 70]])
def test_a_segment_may_end_anywhere(driver, ends):
    given = case(130, 37, 70, 0.3)
    for found, right in zip(driver(*given, ends, 0.99), expected(*given, 0.99), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-13 * np.abs(right).max())


def test_after_whole_blocks_it_goes_on_bit_for_bit(driver):
    given = case(130, 37, 101, 0.3)
    for cut, whole in zip(driver(*given, [32, 96, 101]), driver(*given, [101]), strict=True):
        np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize(("pre", "post"), SIZES)
def test_weights_that_do_not_learn_are_not_touched(driver, pre, post):
    x, order, w, factors = case(pre, post, 40, 0.5)
    drives, after = driver(x, order, w, factors, [40], learns=False)
    np.testing.assert_array_equal(after, w)
    np.testing.assert_allclose(drives, 0.5 + x[order] @ w.T, rtol=0, atol=1e-13)
