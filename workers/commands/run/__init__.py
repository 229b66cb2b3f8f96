"""Commands that run roles: up, worker, demo, replay."""
