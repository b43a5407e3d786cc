"""Kernel distillation: long kernels of trained models as few modes, as a low rank, or as few taps."""
