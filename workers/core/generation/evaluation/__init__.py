"""How good texts are: pass rates, and whether a reader recovers their target group."""
