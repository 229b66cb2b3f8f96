"""Commands that run something: up, worker, demo, replay."""
