"""Tasks, one a file: generated teachers, real data sets, arrays on disk."""

from bioFA.tasks.base import Data, Split, Task, TaskField, family

__all__ = ["Data", "Split", "Task", "TaskField", "family"]
