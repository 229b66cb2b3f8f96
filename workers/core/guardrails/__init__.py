"""The checks a text must pass before it is published: cheap, typed, each with a name and a reason."""
