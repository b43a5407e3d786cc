"""Inputs of another kind are refused by every mixer in a line, and sizes beyond any memory before it is allocated."""

import pytest
import torch
from mrss_mixers import sequence
from refusals import refused

from lib import names
from lib.models.mrss import proxy
from lib.models.mrss.config import MrssConfig
from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.variants import mixers, model
from lib.models.ssm.mamba_block import MambaConfig

SMALL = MambaConfig(dim=6, layers=2, states=2)
FORMS = [("single", 1), ("wrapped", 1), *((form, 4) for form in names.FORMS if form != "wrapped")]


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: form[0])
def mixer(request):
    *_, last = mixers(MrssConfig(SMALL, *request.param), generator=torch.Generator().manual_seed(0))
    return last


UNFIT = {
    "samples of sixteen bits": (lambda x: (x * 100).to(torch.int16), "input of torch.int16: torch.float32 is needed"),
    "integers": (lambda x: x.long(), "input of torch.int64: torch.float32 is needed"),
    "yes and no": (lambda x: x > 0, "input of torch.bool: torch.float32 is needed"),
    "complex": (lambda x: x + 0j, "input of torch.complex64: torch.float32 is needed"),
    "double precision": (lambda x: x.double(), "input of torch.float64: torch.float32 is needed"),
    "samples without channels": (lambda x: x[..., 0], "input of shape (2, 9): (B, T, 6) with B >= 1 and T >= 1"),
    "channels before time": (lambda x: x.mT, "input of shape (2, 6, 9): (B, T, 6) with B >= 1 and T >= 1"),
    "one without a batch": (lambda x: x[0], "input of shape (9, 6): (B, T, 6) with B >= 1 and T >= 1"),
    "no tokens": (lambda x: x[:, :0], "input of shape (2, 0, 6): (B, T, 6) with B >= 1 and T >= 1"),
    "no batch": (lambda x: x[:0], "input of shape (0, 9, 6): (B, T, 6) with B >= 1 and T >= 1"),
}


@pytest.mark.limit(
    "mrss",
    "Sequences of integers, such as samples of sixteen bits, of (B, T) numbers, or with channels before time",
    "A mixer takes (B, T, D) in its weights' precision. Divide samples by 32,768, and give each token its channels; "
    "where there are as many tokens as channels, swapped axes cannot be noticed.",
)
@pytest.mark.parametrize("kind", UNFIT)
def test_an_input_of_another_kind_is_refused(mixer, kind):
    change, said = UNFIT[kind]
    before = {name: weight.clone() for name, weight in mixer.state_dict().items()}
    with refused(said):
        mixer(change(sequence(9, 6, 0, batch=2).float()))
    assert all(torch.equal(weight, before[name]) for name, weight in mixer.state_dict().items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[..., 0], "input of shape (2, 9): (B, T, 3) with"),
        (lambda x: x.mT, "input of shape (2, 3, 9): (B, T, 3) with"),
        (lambda x: (x * 100).to(torch.int16), "input of torch.int16: torch.float32 is needed"),
    ],
)
def test_a_classifier_of_features_refuses_other_sequences(change, said):
    made = model(MrssConfig(SMALL, "low", 4), 3, 5, generator=torch.Generator().manual_seed(0))
    with refused(said):
        made(change(sequence(9, 3, 0, batch=2).float()))


HUGE = 2**62


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MrssConfig(SMALL, "low", HUGE), f"factor = {HUGE}: an integer from 1 to 65536 is needed"),
        (
            lambda: MrssConfig(SMALL, "dual", (2, HUGE)),
            f"factor = (2, {HUGE}): one or more integers from 1 to 65536 are",
        ),
        (
            lambda: MrssConfig(SMALL, "hybrid", 2, full=HUGE),
            f"full = {HUGE}: an integer from 0 to 2147483647, or None, is",
        ),
        (lambda: LowRate(SMALL, 10**20, 1), f"factor = {10**20}: an integer from 1 to 65536 is needed"),
        (lambda: LowRate(SMALL, 2, HUGE), f"layers = {HUGE}: an integer from 1 to 2147483647 is needed"),
        (lambda: DualBranch(SMALL, (HUGE,)), f"factors = ({HUGE},): one or more integers from 1 to 65536 are needed"),
        (lambda: proxy.Branch(HUGE), f"dim = {HUGE}: an integer from 1 to 65536 is needed"),
        (lambda: proxy.Branch(4, HUGE), f"taps = {HUGE}: an integer from 1 to 65536 is needed"),
        (lambda: proxy.DualBranch(4, HUGE), f"factor = {HUGE}: an integer from 1 to 65536 is needed"),
        (lambda: proxy.family(4, [2, 0]), "factors = (2, 0): one or more integers from 1 to 65536 are needed"),
        (
            lambda: proxy.flops(1, -4, 2),
            "batch, length, dim, taps = (1, -4, 2, 63): one or more integers of at least 1",
        ),
        (lambda: proxy.peak_elements(1, 4, 2, 0), "factor = 0: an integer from 1 to 65536 is needed"),
    ],
)
def test_a_size_that_cannot_be_is_refused_with_its_bound(make, said):
    with refused(said):
        make()


def test_a_state_of_another_factor_is_refused():
    two, eight, x = LowRate(SMALL, 2, 1), LowRate(SMALL, 8, 1), torch.zeros(1, 6)
    state = eight.initial_state(1)
    for _ in range(9):
        with refused(
            f"state.phases of shape (1, {state.phases.shape[1]}, 6): (1, {2 - state.chunk.shape[1]}, 6) is needed"
        ):
            two.step(x, state)
        state = eight.step(x, state)[1]
