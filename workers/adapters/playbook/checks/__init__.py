"""Finds mistakes in a playbook before it runs."""
