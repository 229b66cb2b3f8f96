"""Texts that were approved before: entries, planning, selection, slots."""
