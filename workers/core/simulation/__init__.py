"""Simulated shoppers and how they respond."""
