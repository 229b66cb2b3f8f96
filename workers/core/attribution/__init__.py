"""What is learnt from feedback: attribution, counts, posteriors, probabilities."""
