"""The commands of `attune`, grouped by who uses them."""
