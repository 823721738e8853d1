"""How the tasks of an update are weighed against each other: a method a file."""
