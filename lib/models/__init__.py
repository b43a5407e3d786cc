"""Torch modules and pure functions. They import torch and each other, nothing else of lib."""
