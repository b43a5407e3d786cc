"""Ways to make a kernel small, criteria by which states are kept, and the tasks whose models are distilled."""

from lib.names.rows import Method

_DISTILL = "lib.models.distill"
DISTILLATIONS = {  # ways to make a fixed kernel small, by the name that `distill` takes
    "modal": Method("modal", f"{_DISTILL}.by_modes", "states per channel, chosen among the layer's own modes"),
    "balanced_truncation": Method(
        "balanced truncation",
        f"{_DISTILL}.by_modes",
        "states per channel, from the SVD of the Hankel matrix and its shifted copy, with the weights of that system",
    ),
    "balanced_refit": Method(
        "balanced truncation, refitted",
        f"{_DISTILL}.by_modes",
        "the same decays, with weights fitted to L taps: nearer there, without a bound beyond",
    ),
    "h2_optimal": Method(
        "H2-optimal",
        f"{_DISTILL}.h2_optimal",
        "states per channel that interpolate the kernel at their mirrored poles: a minimum of the error over all lags",
    ),
    "truncated_svd": Method("truncated SVD", f"{_DISTILL}.by_taps", "basis kernels: a low rank across channels"),
    "structured_sparse": Method(
        "structured sparsity", f"{_DISTILL}.by_taps", "the same few lags in all channels, those of largest energy"
    ),
}

_STATES = f"{_DISTILL}.states"
STATE_CHOICES = {  # which states of a Mamba are kept, by the name that `reduce_states` takes
    "refit": Method(
        "refitted", f"{_STATES}.refit", "drop one after another; C of the others is refitted by least squares"
    ),
    "energy": Method("energy", f"{_STATES}.energy", "the states of most energy at the output"),
    "hankel": Method("Hankel values", f"{_STATES}.hankel", "the largest Hankel values of a block at its mean step"),
    "slowest": Method("slowest", f"{_STATES}.by_decay", "the states that forget slowest"),
    "fastest": Method("fastest", f"{_STATES}.by_decay", "the states that forget fastest"),
    "random": Method("random", f"{_STATES}.random", "states drawn by lot"),
}

DISTILLED = ("digits", "plugs", "clocks")  # sequence tasks whose models are distilled
