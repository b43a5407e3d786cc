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
