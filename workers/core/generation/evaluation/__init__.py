"""Measures text quality: pass rates, and whether a reader recovers the target group."""
