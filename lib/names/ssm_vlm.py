"""Towers of state space models in the place of CLIP's."""

from lib.names.rows import Method

_TOWERS = "lib.models.ssm_vlm.towers"
TOWERS = {  # image towers, by the name that `lib.models.ssm_vlm.tower.VisionTower` takes
    "vision_mamba": Method(
        "Vision Mamba", f"{_TOWERS}.vision_mamba", "scans row by row, forward and backward, each with its own maps"
    ),
    "cross_scan": Method(
        "cross-scan", f"{_TOWERS}.cross_scan", "scans along rows and along columns, forward and backward (VMamba)"
    ),
    "hybrid": Method("Mamba and attention", f"{_TOWERS}.hybrid", "of four blocks three scan and one attends"),
    "low_rate": Method(
        "low rate", f"{_TOWERS}.low_rate", "one block scans all patches, the others means of two by two patches"
    ),
    "s4nd": Method("S4ND", f"{_TOWERS}.s4nd", "fixed filters along rows and columns, both ways"),
}

_FEWER = "lib.models.ssm_vlm.fewer"
SCAN_REDUCTIONS = {  # ways to go on with fewer patches, by the name that `ReducedTower` takes
    "random": Method("random", f"{_FEWER}.random", "patches drawn at random, the same for all images"),
    "norm": Method("L2 norm", f"{_FEWER}.norm", "the patches of largest L2 norm"),
    "steps": Method("step size", f"{_FEWER}.steps", "the patches at which the next block makes the longest steps"),
    "pairs": Method("pairs", f"{_FEWER}.pairs", "even patches become one with the next, those that are most alike"),
    "segments": Method(
        "segments", f"{_FEWER}.segments", "runs of patches become one, cut where neighbours are least alike"
    ),
}
