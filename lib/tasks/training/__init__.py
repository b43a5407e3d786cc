"""The loop that trains any model, its checkpoints, sweeps of many trainings, and distillation fine-tuning."""
