"""One partition's state: keys, timers, unit of work."""
