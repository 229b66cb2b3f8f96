"""Commands that operate an installation: pause, topics, settings."""
