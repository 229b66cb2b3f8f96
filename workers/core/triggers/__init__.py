"""Finds trigger occurrences in a profile: which there are, when they are due, and whether they still hold. One file per kind."""
