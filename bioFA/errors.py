"""The error family: one class for each kind of mistake, whose name in kebab case is its stable code.

    BioFAError
      ModelError        a description is wrong                      exit code 2
      FileError         a file or folder is missing, wrong or taken exit code 2
      MissingError      the machine lacks a program or a package    exit code 3
      RunError          a run failed, is incomplete or diverged     exit code 1

Every message says where, what was given, what was expected and what to do. A docstring says what the code means and
what helps; `docs/errors.md` is made of them, with a real message for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from bioFA.names.nearest import nearest

Keys = tuple[str | int, ...]
"""A path through the tables of a model file: a word for a field, a number for a place in a list."""


class BioFAError(Exception):
    """Base of every error that bioFA raises on purpose."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    """The class's name in kebab case, such as `unknown-name`; what the command line prints before the message,
    and scripts can look for."""

    def __init__(self, message: str = "", at: Keys = ()):
        super().__init__(message)
        self.message = message
        self.at = at
        """The keys that lead to what is wrong, from the outermost part that was being described."""
        self.lead = 0
        """How many of them lead to the part that the message is about, and stand before it where no file does."""
        self.part: tuple[str, str, str] | None = None
        """What kind of part has a name that nobody knows, that name, and the module with its family."""

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.at[:self.lead]))}: {self.message}" if self.lead else self.message

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def prefixed(self, text: str) -> Self:
        """The same error with a text before its message, such as the name of the file that it is about."""
        error = type(self)(f"{text}{self.message}", self.at)
        error.part = self.part
        return error

    def under(self, *keys: str | int) -> Self:
        """The same error with a path that begins further out, for a check whose message names what it is about."""
        self.at = (*keys, *self.at)
        self.lead += len(keys) if self.lead else 0
        return self

    def inside(self, *keys: str | int) -> Self:
        """The same error as one of a part which these keys lead to."""
        self.at = (*keys, *self.at)
        self.lead += len(keys)
        return self


class ModelError(BioFAError):
    """A description that its author can mend: a population, a pathway, a rule, a number."""

    exit_code = 2


class UnknownName(ModelError):
    """Nothing has this name: a part, population, pathway, port, variable, format.
    The nearest known name is suggested."""


class UnknownField(ModelError):
    """A table has a key that its part does not know.
    The nearest known key is suggested; `biofa schema` has all of them."""


class MissingField(ModelError):
    """Something that has no default was left out."""


class WrongType(ModelError):
    """A number where text was wanted, text where a table was wanted, and the like.
    Numbers, true and false are written without quotes."""


class WrongUnit(ModelError):
    """A quantity has no unit where it needs one, a unit of another dimension, or one that is not known.
    A plain number is in SI."""


class OutOfRange(ModelError):
    """A value is of the right kind but too small, too large, not finite, or at odds with the one that bounds it."""


class WrongShape(ModelError):
    """Sizes do not fit: matrices are `(n_post, n_pre)`, populations have the size of what they show,
    lists one entry a layer."""


class DuplicateName(ModelError):
    """Two things have one name, or one thing is named twice."""


class BadName(ModelError):
    """A name that cannot be one: reserved, not lower-case, not printable, or taken by something else."""


class Contradiction(ModelError):
    """Two settings exclude each other, or one makes no sense without another."""


class BadEquation(ModelError):
    """Equation text that the whitelist does not let through, or that does not say what is asked."""


class BadChange(ModelError):
    """A change (`--set`) that is no `key=value`, or goes where there is no table."""


class MissingSignal(ModelError):
    """Nothing arrives where something is needed, or a rule reads what nobody publishes.
    Add the pathway, or use another rule."""


class Cycle(ModelError):
    """Static units wait for each other within one step. Make one of them stateful, or remove a pathway."""


class CannotLearn(ModelError):
    """Weights that plasticity cannot shape: shared, fixed, drawn anew, or bound to the signs of others."""


class NothingToLearn(ModelError):
    """No error can arise, no rate is above 0, or nothing is left to do."""


class Unavailable(ModelError):
    """What was asked for is not there in this task, network, result or format: no validation split, no spikes,
    no scheme to choose."""


class NoCounterpart(ModelError):
    """Another format or simulator has no words for this part. The message names the part; nothing was written."""


class FileError(BioFAError):
    """A file or folder that is missing, damaged, of the wrong kind, or already in use."""

    exit_code = 2


class NoSuchFile(FileError):
    """There is no file, or no run, at the place named."""


class UnknownModel(FileError):
    """Neither a built-in model nor a file. `biofa list` shows the built-in ones."""


class UnknownColumn(FileError):
    """A data file has no array or column of this name. The nearest one is suggested."""


class Unreadable(FileError):
    """The file is there, but this user may not read it, or the disk fails."""


class WrongKind(FileError):
    """The file is something else than what is read here, such as text for an array, or not valid TOML."""


class WrongData(FileError):
    """The file can be read, but its numbers cannot be used: not finite, unequal rows, labels out of range,
    an empty split."""


class DamagedFile(FileError):
    """The file was cut, changed or damaged after it was written. Nothing is guessed from it."""


class MalformedFile(FileError):
    """An HDF5 file that another process tried first, and that must not be read here: it crashed or hung the library,
    or leads to other files, needs a plug-in, or unfolds out of proportion."""


class WrongVersion(FileError):
    """Written by another version of bioFA in a format that this one does not read."""


class ChangedSince(FileError):
    """A run or comparison was begun with other data, other versions or another description;
    going on would mix two of them."""


class UnknownPart(FileError):
    """The file is whole, but describes a network with a rule or neuron that is a class of somebody's own,
    which is not loaded. Import its module first."""


class UntrustedCode(FileError):
    """A result, bundle or comparison holds Python code of somebody's own that has not run here before, and nobody said
    that it may. Look at it with `biofa code`, then give `--trust-code`."""


class BrokenCode(FileError):
    """A Python file with parts of somebody's own that is not valid, does not stand alone, or ends in an error;
    or a class that has no such file."""


class TooLarge(FileError):
    """Larger than any file of its kind is."""


class UnsafePath(FileError):
    """A file names a place outside its own folder. Do not trust it."""


class PlaceTaken(FileError):
    """Something is there already, and nothing is ever overwritten. Give another place."""


class PlaceBusy(FileError):
    """Another process works there now, or an unfinished run waits there to be resumed."""


class TakenOver(FileError):
    """While a run went on, another process took it over (`--force`), or its folder was removed or moved."""


class AlreadyFinished(FileError):
    """The run that is to be continued has ended already."""


class NotFinished(FileError):
    """What is needed first has not ended yet."""


class CannotWrite(FileError):
    """The folder cannot be written to, or the disk is full. What was there before is still there."""


class NoSpace(FileError):
    """Less space is free than what is left to do will need."""


class NoScheduler(FileError):
    """Nobody answers at the address of the Dask scheduler."""


class MissingError(BioFAError):
    """A program or package that this machine lacks."""

    exit_code = 3


class TooFewHandles(MissingError):
    """The system gave no file handle, process or memory, also after some seconds.
    Run less at once, or raise the limit."""


class OutOfMemory(MissingError):
    """The memory of this machine does not suffice, or a run of a comparison passed its `--memory-limit` or was killed
    as if so. Describe a smaller network, or record less."""


class NoCompiler(MissingError):
    """There is no C++ compiler or no make. `--backend numpy` runs without one; `biofa doctor` tells what is there."""


class NoPackage(MissingError):
    """An optional package is not installed, or too old. The message holds the command that installs it."""


class CannotExecute(MissingError):
    """A program was built but cannot be started here, such as on a file system that forbids programs."""


class NoDownload(MissingError):
    """A data set could not be fetched. The message says how to give it by hand."""


class RunError(BioFAError):
    """A run that failed, did not finish, or whose numbers are no longer finite."""

    exit_code = 1


class TranslationFailed(RunError):
    """Brian2 could not make C++ of the network, or is a version that bioFA does not know."""


class CompilationFailed(RunError):
    """The compiler ended with an error, which is quoted. Nothing half-built is kept."""


class ProgramFailed(RunError):
    """A program that was started ended with an error."""


class TooSlow(RunError):
    """Brian2, the compiler, or another process that builds the same program took longer than BIOFA_COMPILE_LIMIT
    allows, and was not waited for."""


class TimeLimit(RunError):
    """A run of a comparison was ended after its `--time-limit`.
    The same command with a higher one continues from its last segment."""


class WrongProcessor(RunError):
    """The compiled program was built for another processor."""


class IncompleteRun(RunError):
    """The compiled program ended without an error but did not do all that it was asked, so its numbers do not count."""


class DiskFull(RunError):
    """A file is shorter than what the compiled program had to write. Make space and run again; nothing of it counts."""


class Diverged(RunError):
    """Numbers are no longer finite. The variable and the presentation, or the time, are named;
    a lower learning rate, or a smaller dt, is the usual cure."""


class RunsFailed(RunError):
    """Some runs of a comparison failed; all others are kept. The same command again tries those that are left."""


class NothingToCompare(RunError):
    """Both simulations agree, but nothing changed or spiked, so agreement says nothing."""


OF_OWN_PARTS = (UnknownPart, UntrustedCode, BrokenCode)
"""What may be wrong with a whole file for the parts of somebody's own in it."""


@contextmanager
def under(*keys: str | int) -> Iterator[None]:
    """Begin the path of an error about a description that is raised inside with these keys."""
    try:
        yield
    except (ModelError, FileError) as error:
        error.under(*keys)
        raise


MOST_NAMES = 60
"""A message lists at most so many known names."""


def suggestion(given: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, if one is near: `Did you mean 'x'? Known: x, y.`; of many the first are
    named."""
    known = sorted(known)
    near = nearest(given, known)
    meant = f" Did you mean '{near}'?" if near is not None else ""
    more = f", and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return f"{meant} Known: {', '.join(known[:MOST_NAMES]) or 'none'}{more}."


def all_codes() -> dict[str, type[BioFAError]]:
    """Every code that a message can carry, with its class; the four bases aside, in the order of this file."""
    bases = (ModelError, FileError, MissingError, RunError)
    return {kind.code: kind for base in bases for kind in base.__subclasses__() if kind.__module__ == __name__}
