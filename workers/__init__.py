"""Attune's product: roles that run, the pure core, adapters to the outside, commands for people."""
