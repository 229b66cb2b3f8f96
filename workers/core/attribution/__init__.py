"""Turns feedback and orders into counts and evidence for each arm."""
