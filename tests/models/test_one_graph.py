"""Every kind of model goes through torch.compile and torch.export in one piece, with the same results."""

import pytest
import torch
from adapting import add, net
from adapting import inputs as features
from mrss_mixers import mixer, sequence
from systems import system
from torch import nn
from torch.testing import assert_close

from lib import names
from lib.models.distill.mixing import balanced_mixing
from lib.models.distill.replace import METHODS
from lib.models.ssm.fft_convolution import CachedConvolution
from lib.models.ssm.s4d_block import S4DBlock
from lib.models.ssm.s5 import S5
from lib.models.ssm.s5_block import S5Block

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]


def distilled(name: str) -> nn.Module:
    return METHODS[name](system(dim=6), 4, length=64).module


def s5() -> S5:
    return S5(6, 8, generator=torch.Generator().manual_seed(0)).double()


MRSS = ("dual", "dynamic", "hiss", "scale_mixer", "hnet", "sparse_gate", "dynamic_rate", "sequence_rate")
MODELS = {
    **{f"mrss, {kind}": lambda kind=kind: (mixer(kind, 4, 6, 3), sequence(33, 6, 0)) for kind in MRSS},
    **{name: lambda name=name: (distilled(name), sequence(20, 6, 0)) for name in names.DISTILLATIONS},
    "S4D": lambda: (S4DBlock(6, generator=torch.Generator().manual_seed(0)).double(), sequence(20, 6, 0)),
    "S5": lambda: (S5Block(6, states=8, generator=torch.Generator().manual_seed(0)).double(), sequence(20, 6, 0)),
    "S5 of few states": lambda: (balanced_mixing(s5(), 3, length=64).module, sequence(20, 6, 0)),
    "cached convolution": lambda: (CachedConvolution(sequence(9, 6, 1)[0].T, 32), sequence(20, 6, 0)),
    "LoRA": lambda: (add(net()), features()),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_in_one_graph_and_is_exported(name):
    torch._dynamo.reset()
    model, x = MODELS[name]()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert_close(compiled(x), model(x))
    if weights:
        found, wanted = (torch.autograd.grad(run(x).square().sum(), weights) for run in (compiled, model))
        assert_close(found, wanted)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("B", min=2)},)).module()
    more = torch.cat([x, x.flip(0)])
    assert_close(exported(more), model(more))
