"""What is wrong with a playbook, found before it runs."""
