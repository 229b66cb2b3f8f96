"""Many patterns against one text, in time that grows with the text alone."""
