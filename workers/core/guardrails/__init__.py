"""What a text must hold to before it may leave: cheap, typed checks, each with a name and a reason."""
