"""The machine: paths, files, processes, and whose they are."""
