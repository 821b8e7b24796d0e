"""What is asked of the operating system: files written whole, locks, retries, memory, processes,
and files that are not trusted."""
