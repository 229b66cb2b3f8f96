"""Matches many patterns against one text in time linear in the text."""
