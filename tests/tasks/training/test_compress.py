"""States go during the warm-up: as few stay as have the share asked for, and the rest of the plan is as without."""

import copy

import pytest
import torch
from banks import layer, normal
from refusals import refused
from torch import nn
from torch.testing import assert_close

from lib.models.distill.by_modes import hankel_singular_values
from lib.models.distill.modes import Modes
from lib.models.ssm.mamba_block import fresh
from lib.models.ssm.s4d import S4D
from lib.tasks.training.compress import compress, enough
from lib.tasks.training.loop import train


def model(**options) -> nn.Sequential:
    head = fresh(nn.Linear, 4, 2, generator=torch.Generator().manual_seed(0))
    return nn.Sequential(layer(dim=4, dtype=torch.float32, **options), head)


def losses(of: nn.Module, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        x = torch.randn(8, 20, 4, generator=generator)
        yield (of(x) - x[..., :2].cumsum(1) / 4).square().mean()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_as_few_stay_as_have_the_share(share):
    values = hankel_singular_values(layer())
    count = enough(values, share)
    sums = [values[:, :number].sum() / values.sum() for number in (count - 1, count)]
    assert sums[0] < share <= sums[1] + 1e-12


def test_states_go_and_the_model_learns_on():
    trained = model()
    before = next(losses(trained)).item()
    taken, history = compress(trained, losses(trained), 60, share=0.6, rate=3e-2, progress=False)
    assert len(taken) == 60
    assert len(history) == 4
    assert 16 > history[0][0] >= history[-1][0]
    assert isinstance(trained[0], Modes)
    assert trained[0].angle.shape[1] <= history[-1][0]
    assert torch.tensor(taken[-5:]).mean() < 0.8 * before


def test_a_share_of_all_changes_nothing():
    """In parts, with new moments at every one, which a training with one part has not: the first part is the same."""
    whole, parted = model(), model()
    first = train(whole, losses(whole), 40, rate=1e-2, progress=False)
    second, history = compress(parted, losses(parted), 40, share=1.0, rate=1e-2, progress=False, cuts=1, warm_up=0.5)
    assert history == [[16]]
    assert isinstance(parted[0], S4D)
    assert first[:21] == second[:21]
    assert first[22:] != second[22:]


def test_parts_of_a_plan_have_the_rates_of_the_plan():
    """Of plain gradient descent nothing is remembered: two parts are the whole."""

    class Descent(torch.optim.SGD):
        def __init__(self, weights, lr, weight_decay=0):
            super().__init__(weights, lr=lr)

    whole = nn.Linear(4, 2)
    parted = copy.deepcopy(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Descent)
        one = train(whole, losses(whole), 30, rate=0.05, progress=False)
        stream = losses(parted)
        two = [
            loss
            for between in ((0, 7), (7, 30))
            for loss in train(parted, stream, 30, rate=0.05, progress=False, between=between)
        ]
    assert one == two
    assert_close(whole.weight, parted.weight)


def test_the_first_cut_is_a_balanced_truncation():
    """Of a model that does not move, the outputs change by no more than what is dropped."""
    trained, x = model(used=(1, 3)), normal(2, 20, 4).float()
    wanted = trained(x).detach()
    _, history = compress(trained, losses(trained), 10, share=0.99999, rate=1e-12, progress=False)
    assert history[-1] == [4]
    assert_close(trained(x), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, "share = 0.0: "),
        ({"share": 1.5}, "share = 1.5: "),
        ({"share": 0.5, "cuts": 0}, "cuts = 0: an integer of at least 1 is needed"),
        ({"share": 0.5, "cuts": 40}, "steps = 10: an integer of at least 41 is needed"),
        ({"share": 0.5, "warm_up": 2}, "warm_up = 2: "),
    ],
)
def test_what_cannot_be_done_is_quoted(options, message):
    trained = model()
    with refused(message):
        compress(trained, losses(trained), 10, **options)
    with refused("a Linear without S4D or modes: no state can go"):
        compress(nn.Linear(2, 2), iter(()), 10, share=0.5)
    with refused("between = 11: an integer from 1 to 10 is needed"):
        train(trained, losses(trained), 10, between=(0, 11))
    with refused("between = -1: an integer from 0 to 4 is needed"):
        train(trained, losses(trained), 10, between=(-1, 5))
