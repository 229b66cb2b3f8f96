"""The playbook, a shop's marketing knowledge, as structs: audiences, campaigns, copy, policy."""
