"""The pure core: imports only schemas and itself; no I/O, no clock, no threads."""
