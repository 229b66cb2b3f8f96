"""The one-machine installation: local servers and supervised workers; the only room that imports infra."""
