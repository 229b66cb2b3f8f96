"""The state of one partition: keys, timers, unit of work."""
