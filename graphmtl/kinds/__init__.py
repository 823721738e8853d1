"""The kinds of tasks, one file each: labels, head, losses, answers and metrics."""
