"""Commands that change how an installation works: pause, topics, settings."""
