"""Builds human-readable reports: decision traces, standings, profile summaries, the run report."""
