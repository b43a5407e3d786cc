"""Seeded tasks and the loop that trains a model on them."""
