"""The commands of `attune`, grouped by task."""
