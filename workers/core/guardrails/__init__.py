"""The checks that a text must pass before it is published; each returns a typed verdict with its name and a reason."""
