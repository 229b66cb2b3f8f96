"""The single-machine installation: local servers and supervised workers. The only package that imports infra."""
