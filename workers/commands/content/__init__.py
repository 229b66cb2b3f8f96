"""Commands for editors: playbook, pool, review, evaluation."""
