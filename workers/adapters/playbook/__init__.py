"""Loads a playbook from YAML."""
