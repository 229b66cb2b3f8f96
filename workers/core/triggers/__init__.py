"""Finds trigger occurrences in a profile: which there are, when they are due, whether they still hold. One file per kind."""
