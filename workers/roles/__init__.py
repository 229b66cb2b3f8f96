"""Assembles each role of a deployment from settings, core and adapters. One file per role."""
