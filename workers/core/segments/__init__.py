"""Evaluates target group and segment conditions on customer features."""
