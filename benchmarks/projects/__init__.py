"""Projects: whether each memory is found where it belongs, and nowhere else."""
