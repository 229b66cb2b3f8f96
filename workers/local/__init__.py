"""The one-machine installation: local servers and supervised workers; the only package that imports infra."""
