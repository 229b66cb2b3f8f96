"""The commands of `attune`, in rooms by who uses them."""
