"""One customer's state, and how events and feedback change it."""
