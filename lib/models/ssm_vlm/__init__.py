"""State space models that see: scans over the patches of an image, and towers of them in the place of CLIP's own."""
