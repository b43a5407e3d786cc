"""Multi-resolution forms, and the stems that are their controls."""

from lib.names.rows import Compared, Method

_MRSS = "lib.models.mrss"
FORMS = {  # multi-resolution forms; their label in records is "<name>, r = <factor>"
    "dual": Method("dual", f"{_MRSS}.dual_branch", "every block has a low-rate one beside it, or several, and a gate"),
    "low": Method("low", f"{_MRSS}.low_rate", "all blocks at T / r, inside a full-rate gated convolution"),
    "hybrid": Method("hybrid", f"{_MRSS}.hybrid", "the first blocks at the full rate, the others at T / r"),
    "dynamic": Method("dynamic", f"{_MRSS}.dynamic", "low, and a router that sends chunks through full-rate blocks"),
    "wrapped": Compared(
        "wrapped", f"{_MRSS}.wrapped", "a control: what is around the blocks of low, with the blocks at the full rate"
    ),
    "hiss": Compared(
        "HiSS",
        f"{_MRSS}.hiss",
        "blocks in each chunk of r tokens, and blocks on its last output",
        "bhirangi2024hiss",
    ),
    "scale_mixer": Compared(
        "MS-SSM", f"{_MRSS}.scale_mixer", "a full-rate scan for each scale, mixed by the input", "karami2025msssm"
    ),
    "hnet": Compared(
        "H-Net", f"{_MRSS}.hnet", "blocks on tokens unlike those before them, about one in r", "hwang2025hnet"
    ),
    "sparse_gate": Compared(
        "sparse gate", f"{_MRSS}.sparse_gate", "dual, with a gate that skips the full-rate block for chunks it closes"
    ),
    "dynamic_rate": Compared(
        "rate by segment", f"{_MRSS}.dynamic_rate", "all blocks at a rate chosen per segment: T / r, its doubles, or T"
    ),
    "sequence_rate": Compared(
        "rate by sequence", f"{_MRSS}.sequence_rate", "the same, once for a whole sequence, after its first segment"
    ),
}

_STEMS = "lib.models.mrss.stems"
STEMS = {  # controls of tasks with one answer a sequence: what shortens it before the first block, by the factor
    "patches": Method("patches", f"{_STEMS}.patches", "the features of r tokens as those of one"),
    "strided": Method("strided stem", f"{_STEMS}.strided", "the first of r tokens"),
    "pooled": Method("pooled stem", f"{_STEMS}.pooled", "the mean of r tokens"),
}


def family() -> tuple[str, ...]:
    """Names of the multi-resolution forms that all experiments and figures compare: all but rows of type `Compared`."""
    return tuple(name for name, row in FORMS.items() if not isinstance(row, Compared))
