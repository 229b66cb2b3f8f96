"""The pool of texts approved in advance: entries, planning, selection, slots."""
