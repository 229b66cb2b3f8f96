"""The Grafana dashboards, generated."""
