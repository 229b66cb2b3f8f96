"""What may be said of a product: its facts, and links that may leave."""
