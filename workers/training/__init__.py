"""Training of the models that workers use. No worker imports it."""
