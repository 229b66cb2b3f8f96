"""Arms, bandit, sampling, uplift and off-policy evaluation."""
