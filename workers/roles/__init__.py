"""Assembles each role of a deployment, one file a role."""
