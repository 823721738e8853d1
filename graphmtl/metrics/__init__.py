"""How good answers are: metrics by name, scores of each class, confusion; nothing here knows the kinds of tasks."""
