"""For people: decision traces, standings, the run report."""
