"""Tasks, one a file: generated teachers, real data sets, arrays on disk."""

from bioFA.tasks.base import ByteTable, Data, Split, Table, Task, TaskField, family

__all__ = ["ByteTable", "Data", "Split", "Table", "Task", "TaskField", "family"]
