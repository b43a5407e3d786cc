"""Variants of several resolutions: a factor of 1 is the baseline, sizes match, and every branch learns."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mrss_mixers import mixer, sequence
from refusals import refused
from torch.testing import assert_close

from lib import names
from lib.models.mrss import variants as mrss
from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic import Dynamic
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.variants import MrssConfig, matched, parameters
from lib.models.ssm.mamba import MambaClassifier, MambaConfig

SMALL = MambaConfig(dim=8, layers=2, states=4)
FULL_RATE = "wrapped"
RATES = [(form, 1 if form == FULL_RATE else 4) for form in names.FORMS] + [("dual", (2, 4, 8))]
OTHERS = [variant for variant in mrss.variants() if variant != FULL_RATE]


def seeded(config, **options):
    given = {"inputs": 3, "classes": 5} | options
    return mrss.model(config, **given, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("variant", OTHERS)
def test_a_factor_of_one_is_the_baseline(variant, generator):
    ours = seeded(MrssConfig(SMALL, variant, 1))
    baseline = MambaClassifier(SMALL, 3, 5, generator=torch.Generator().manual_seed(0))
    assert {name: weight.shape for name, weight in ours.state_dict().items()} == {
        name: weight.shape for name, weight in baseline.state_dict().items()
    }
    x = torch.randn(2, 11, 3, generator=generator)
    assert torch.equal(ours(x), baseline(x))


@pytest.mark.parametrize(("variant", "factor"), RATES)
def test_every_weight_learns(variant, factor, generator):
    model = seeded(MrssConfig(SMALL, variant, factor), pooling="none")
    out = model(torch.randn(2, 40, 3, generator=generator))
    (out.square().sum() + mrss.balance(model)).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize(("variant", "factor"), [("single", 1), *RATES])
def test_a_model_streams(variant, factor, generator):
    model = seeded(MrssConfig(SMALL, variant, factor), pooling="none").double()
    x, outputs = torch.randn(2, 21, 3, generator=generator, dtype=torch.float64), []
    state = model.initial_state(2)
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    assert_close(torch.stack(outputs, dim=1), model(x))


def test_a_model_takes_tokens():
    config = MrssConfig(replace(SMALL, vocabulary=7), "low", 4)
    tokens = torch.randint(7, (2, 19), generator=torch.Generator().manual_seed(1))
    assert seeded(config, inputs=None, classes=7, pooling="none")(tokens).shape == (2, 19, 7)
    assert seeded(config, inputs=None, classes=7, pooling="last")(tokens).shape == (2, 7)


def test_the_dual_branch_is_the_seeds_formula(generator):
    module, x = mixer("dual", 3, 6, 0), sequence(14, 6, 0)
    gate = (x @ module.gates[0].weight.T + module.gates[0].bias).sigmoid()
    low = torch.stack([module.low[0](x[:, ::3])[:, t // 3] for t in range(14)], dim=1)
    assert_close(module(x), gate * low + (1 - gate) * module.high(x))


def test_without_a_slow_token_the_low_rate_is_its_convolution():
    module, x = mixer("low", 8, 4, 0), sequence(7, 4, 0)
    with torch.no_grad():
        before = module(x)
        module.up.phases.normal_()
        assert torch.equal(module(x), before)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    variant=st.sampled_from(OTHERS),
    dim=st.integers(48, 300),
    layers=st.integers(2, 4),
    factor=st.integers(2, 16),
)
def test_a_matched_model_has_as_many_weights(variant, dim, layers, factor):
    sizes = MambaConfig(dim=dim, layers=layers)
    found = matched(MrssConfig(sizes, variant, factor))
    wanted = parameters(MrssConfig(sizes))
    assert abs(parameters(found) / wanted - 1) <= mrss.NEAR


def test_what_the_seed_proposes_is_as_wide_as_the_baseline():
    made = mrss.proposed(SMALL, 4)
    assert list(made) == ["dual as wide, r = 4", "hierarchy as wide"]
    assert [config.factors for config in made.values()] == [(4,), (2, 4, 8)]
    assert all((config.variant, config.mamba) == ("dual", SMALL) for config in made.values())


def test_counting_weights_draws_no_number_that_others_would_get():
    before = torch.get_rng_state()
    parameters(MrssConfig(SMALL, "hybrid", 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_size_that_cannot_be_matched_is_told():
    line = "'dual', factor 8: dim 1 comes nearest to 60 weights, with 124; within 3% is needed"
    with pytest.raises(ValueError, match=line):
        matched(MrssConfig(MambaConfig(dim=1, layers=2, states=1), "dual", 8))


WRONG = [
    ({"variant": "triple"}, f"variant = 'triple': one of {', '.join(mrss.variants())} is needed"),
    ({"factor": 0}, "factor = 0: an integer from 1 to 65536 is needed"),
    ({"factor": 2.0}, "factor = 2.0: an integer from 1 to 65536 is needed"),
    ({"factor": 2, "variant": "wrapped"}, "factor = 2: 'wrapped' runs at the full rate; 1 is needed"),
    ({"factor": (2, 4), "variant": "patches"}, "factor = (2, 4): 'patches' takes one integer"),
    ({"factor": (2, 4), "variant": "low"}, "factor = (2, 4): 'low' takes one integer"),
    ({"factor": (), "variant": "dual"}, "factor = (): one or more integers from 1 to 65536 are needed"),
    ({"factor": 4, "variant": "hybrid", "full": 2}, "full = 2, layers = 2: 'hybrid' needs one block of each rate"),
    ({"factor": 4, "variant": "hybrid", "full": 1.5}, "full = 1.5: an integer of at least 0, or None, is needed"),
    ({"factor": 4, "variant": "dynamic", "budget": 0}, "budget = 0: more than 0 and at most 1 is needed"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_config_that_makes_no_sense_is_refused(options, message):
    with refused(message):
        MrssConfig(SMALL, **options)


def test_mixers_quote_what_they_cannot_use():
    with refused("factor = 0: an integer from 1 to 65536 is needed"):
        LowRate(SMALL, 0, 1)
    with refused("layers = 0: an integer of at least 1 is needed"):
        LowRate(SMALL, 2, 0)
    with refused("factors = (2, 0): one or more integers from 1 to 65536 are needed"):
        DualBranch(SMALL, (2, 0))
    for module in (LowRate(SMALL, 2, 1), DualBranch(SMALL, (2,))):
        with refused("input of shape (2, 3): (B, T, 8) with B >= 1 and T >= 1 is needed"):
            module(torch.zeros(2, 3))
        with refused("input of shape (2, 3): (B, 8) with B >= 1 is needed"):
            module.step(torch.zeros(2, 3), module.initial_state(2))


def test_a_state_that_does_not_fit_is_refused():
    low, dual, x = LowRate(SMALL, 2, 1), DualBranch(SMALL, (2,)), torch.zeros(2, 8)
    with refused("state is of type NoneType: a LowRateState is needed", TypeError):
        low.step(x, None)
    with refused("state is of type LowRateState: a DualBranchState is needed", TypeError):
        dual.step(x, low.initial_state(2))
    with refused("state.convolution of shape (3, 3, 8): (2, 3, 8) is needed"):
        low.step(x, low.initial_state(3))
    with refused("state.convolution of shape (3, 3, 16): (2, 3, 16) is needed"):
        dual.step(x, dual.initial_state(3))
    dynamic = Dynamic(SMALL, 1, 1, 1)
    with refused("state is of type tuple: a RoutedState is needed", TypeError):
        dynamic.step(x, LowRate(SMALL, 1, 1).initial_state(2))
    backbone = seeded(MrssConfig(SMALL, "low", 4)).backbone
    with refused("LowRate: only MambaBlock takes or returns a state in forward; use step"):
        backbone(torch.zeros(2, 3, 8), return_state=True)
    with refused("state of 2 low-rate branches: one of 1 is needed"):
        dual.step(x, DualBranch(SMALL, (2, 4)).initial_state(2))
