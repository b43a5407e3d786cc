"""Moments of a block's states are those of scans of one state each, by the definition."""

import pytest
import torch
from refusals import refused
from seeded_mambas import tokens
from state_blocks import features, inputs, model, parts
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.distill.states.moments import moments
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.mamba_block import MambaBlock
from lib.models.ssm.scan import selective_scan_ref


@pytest.fixture
def seen(generator):
    """A model, its moments, and the scan inputs of its blocks."""
    lm, x = model(), tokens(generator, batch=3)
    return (
        lm,
        moments(lm, x),
        [parts(layer["mixer"], given) for layer, given in zip(lm.backbone.layers, inputs(lm, x), strict=True)],
    )


def test_joint_moments_are_products_of_single_scans(seen):
    _, found, scanned = seen
    for one, given in zip(found.values(), scanned, strict=True):
        F = features(given)
        count = given["u"].shape[0] * given["u"].shape[2]
        assert_close(one.joint, torch.einsum("imx,jnx->ijmn", F, F) / count)


def test_moments_of_channels_are_those_of_scans(seen):
    _, found, scanned = seen
    for one, given in zip(found.values(), scanned, strict=True):
        for n in range(given["A"].shape[1]):
            ones = torch.ones_like(given["C"][:, :1])
            state = selective_scan_ref(given["u"], given["delta"], given["A"][:, [n]], given["B"][:, [n]], ones)
            assert_close(one.held[:, n], state.square().mean((0, 2)))
        assert_close(one.reading, given["C"].square().mean((0, 2)))
        assert_close(one.gate, F.silu(given["z"]).square().mean((0, 2)))
        assert_close(one.rate, -given["A"])
        assert_close(one.decay, torch.exp(given["delta"].mean((0, 2)).unsqueeze(1) * given["A"]))


def test_rows_at_once_change_nothing(generator):
    lm, x = model(), tokens(generator, batch=5)
    whole, parts = moments(lm, x), moments(lm, x, rows=2)
    for block, one in whole.items():
        for name, value in vars(one).items():
            assert_close(vars(parts[block])[name], value)


def test_watching_leaves_a_model_as_it_was(generator):
    lm, x = model().train(), tokens(generator)
    before = lm(x)
    moments(lm, x)
    assert lm.training
    assert torch.equal(lm(x), before)
    assert not any(part._forward_hooks for part in lm.modules())


def test_states_that_are_not_finite_are_refused(generator):
    lm = model()
    with torch.no_grad():
        lm.backbone.layers[1]["mixer"].in_proj.weight[0] = torch.inf
    with refused("joint of Mamba block 1: all of its values must be finite"):
        moments(lm, tokens(generator))


def test_a_block_that_nothing_reaches_is_refused(generator):
    config = MambaConfig(dim=4, layers=1, states=2)
    classifier = MambaClassifier(config, 3, 2, generator=generator)
    classifier.spare = MambaBlock(config, generator=generator)
    with refused("Mamba block 1 of the model saw no token"):
        moments(classifier, torch.zeros(1, 5, 3))
