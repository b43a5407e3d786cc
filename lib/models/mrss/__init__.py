"""Multi-resolution selective scanning: forms of Mamba of which a part runs at a lower temporal resolution."""
