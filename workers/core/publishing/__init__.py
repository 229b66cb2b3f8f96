"""What leaves: messages, their last check, cancellations, review."""
