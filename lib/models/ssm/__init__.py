"""State space models: the selective scan, Mamba, S4D, and what they are compared with."""
