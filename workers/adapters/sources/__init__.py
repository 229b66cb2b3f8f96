"""Event files, replay, the simulated shop."""
