"""Walks of HDF5 files of anybody in a fork of the test's process: all that a new one would add are its imports, which
cost ten times what it does. `test_foreign.py`, which tests what the process is for, has the real one."""

import os
import subprocess
import sys
import time
import warnings

from bioFA.system import untrusted_hdf5, untrusted_walk


class Forking:
    """In place of the module `subprocess` of `untrusted_hdf5`."""

    DEVNULL, TimeoutExpired = subprocess.DEVNULL, subprocess.TimeoutExpired

    @staticmethod
    def run(command, *, stdout, stderr, timeout, **others):
        if tuple(command[: len(untrusted_hdf5.WALKER)]) != untrusted_hdf5.WALKER:
            return subprocess.run(command, stdout=stdout, stderr=stderr, timeout=timeout, **others)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other threads, which hold nothing that a walk needs
            child = os.fork()
        if child == 0:
            _walk(command[len(untrusted_hdf5.WALKER) :], stdout.fileno(), stderr.fileno())
        began = time.monotonic()
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() - began > timeout:
                os.kill(child, 9)
                os.waitpid(child, 0)
                raise subprocess.TimeoutExpired(command, timeout)
            time.sleep(0.001)
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(ended[1]))


def _walk(paths, output, errors):
    try:
        os.setsid()
        os.chdir("/")
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdout = os.fdopen(1, "w")
        untrusted_walk.main(paths)
        os._exit(0)
    finally:
        os._exit(1)
