"""Data to learn from and to be judged by: drawn from a generator, or loaded."""
