"""Commands for those who write: playbook, pool, review, evaluation."""
