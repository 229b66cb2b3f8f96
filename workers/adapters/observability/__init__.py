"""Metrics, health server, traces."""
