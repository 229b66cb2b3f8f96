"""Servers of the embedded installation and files for deployment."""
