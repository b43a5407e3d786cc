"""Mixers of each tower, a file each: `mixers(sizes, generator=...)`, one per block; and whether `rank` counts there."""
