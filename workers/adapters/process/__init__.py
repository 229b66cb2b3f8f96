"""The process itself: clock, exit codes, liveness, watchdog, failpoints."""
