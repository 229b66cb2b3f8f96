"""What belongs to the process: clock, exit codes, liveness, watchdog, failpoints."""
