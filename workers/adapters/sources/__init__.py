"""Event sources: event files, replay, the simulated shop."""
