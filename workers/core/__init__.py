"""The pure core: imports schemas and itself; no I/O, no clock, no threads."""
