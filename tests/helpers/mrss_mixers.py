"""Small multi-resolution mixers of seeded weights, drawn by hypothesis: their kind, T, r and D."""

import torch
from hypothesis import strategies as st

from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic import Dynamic
from lib.models.mrss.dynamic_rate import DynamicRate
from lib.models.mrss.hiss import Hierarchy
from lib.models.mrss.hnet import DynamicChunking
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.rates import halves
from lib.models.mrss.scale_mixer import ScaleMixer
from lib.models.mrss.sparse_gate import SparseGate
from lib.models.ssm.mamba import MambaConfig

KINDS = (
    "dual",
    "hierarchy",
    "low",
    "dynamic",
    "hiss",
    "scale_mixer",
    "hnet",
    "sparse_gate",
    "dynamic_rate",
    "sequence_rate",
)
sizes = {
    "kind": st.sampled_from(KINDS),
    "length": st.integers(1, 33),
    "factor": st.integers(1, 9),
    "dim": st.integers(1, 9),
    "seed": st.integers(0, 2**20),
}


def mixer(kind, factor, dim, seed, **options):
    """One mixer whose weights are all away from their start, in float64."""
    generator = torch.Generator().manual_seed(seed)
    config = MambaConfig(dim=dim, layers=1, states=3, kernel=1 + seed % 4)
    made = {
        "dual": lambda: DualBranch(config, (factor,), generator=generator),
        "hierarchy": lambda: DualBranch(config, (factor, 2 * factor, 4 * factor), generator=generator),
        "low": lambda: LowRate(config, factor, 2, generator=generator),
        "dynamic": lambda: Dynamic(config, factor, 1, 1, **{"budget": 0.6} | options, generator=generator),
        "hiss": lambda: Hierarchy(config, factor, 1, 1, generator=generator),
        "scale_mixer": lambda: ScaleMixer(config, max(2, factor), generator=generator),
        "hnet": lambda: DynamicChunking(config, max(2, factor), 1, generator=generator),
        "sparse_gate": lambda: SparseGate(config, factor, **{"budget": 0.6} | options, generator=generator),
        "dynamic_rate": lambda: DynamicRate(config, halves(factor), 1, **options, generator=generator),
        "sequence_rate": lambda: DynamicRate(config, halves(factor), 1, once=True, **options, generator=generator),
    }[kind]()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.empty_like(weight).normal_(std=0.3, generator=generator))
    return made.double()


def sequence(length, dim, seed, batch=2):
    return torch.randn(batch, length, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def streamed(module, x):
    """The outputs of token after token, by `step`."""
    state, outputs = module.initial_state(len(x)), []
    for token in x.unbind(1):
        y, state = module.step(token, state)
        outputs.append(y)
    return torch.stack(outputs, dim=1)
