"""CLIP and its kin: loading, vision towers taken apart, and fewer visual tokens in them."""
