"""A model with fewer states is a Mamba of that size; what it loses is what the dropped states said."""

from dataclasses import replace

import pytest
import torch
from mrss_mixers import streamed
from refusals import refused
from seeded_mambas import config, seeded, tokens
from state_blocks import STATES, model, without
from torch import nn
from torch.testing import assert_close

from lib.models.distill.states.reduce import reduce_states
from lib.models.lora.layers import add_lora
from lib.models.mrss import variants as mrss
from lib.models.ssm.mamba import MambaBlock, MambaClassifier, MambaConfig, MambaLM
from lib.names import STATE_CHOICES

every_criterion = pytest.mark.parametrize("criterion", STATE_CHOICES)


def reduced(lm, keep, criterion, x):
    return reduce_states(lm, keep, criterion, x, generator=torch.Generator().manual_seed(0))


@every_criterion
def test_all_states_compute_what_the_model_does_to_the_last_digit(criterion, generator):
    lm, x = model(), tokens(generator)
    assert torch.equal(reduced(lm, STATES, criterion, x)(x), lm(x))


@pytest.mark.parametrize("criterion", ["energy", "hankel", "refit"])
def test_states_that_nobody_reads_are_dropped_without_a_loss(criterion, generator):
    lm, x = without(model(), 1, 2), tokens(generator)
    small, other = reduced(lm, STATES - 2, criterion, x), tokens(generator, batch=3, length=30)
    assert_close(small(other), lm(other), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(reduced(lm, STATES - 3, criterion, x)(other), lm(other))


@every_criterion
@pytest.mark.parametrize("keep", [1, 3])
def test_a_copy_is_a_plain_mamba_of_fewer_states(criterion, keep, generator):
    lm, x = model(), tokens(generator)
    before = {name: value.clone() for name, value in lm.state_dict().items()}
    small = reduced(lm, keep, criterion, x)
    fresh = MambaLM(config(states=keep)).double()
    fresh.load_state_dict(small.state_dict())
    assert small.config == small.backbone.config == fresh.config
    assert_close(fresh(x), small(x))
    assert all(torch.equal(value, before[name]) for name, value in lm.state_dict().items())
    assert lm.config.states == STATES
    assert {*map(id, lm.parameters())}.isdisjoint(map(id, small.parameters()))


def test_the_first_block_says_what_its_kept_states_say(generator):
    lm, x = model(), tokens(generator)
    small = reduced(lm, 2, "slowest", x)
    block, given = lm.backbone.layers[0]["mixer"], torch.randn(2, 9, 6, generator=generator, dtype=torch.float64)
    kept = block.A_log.mean(0).argsort()[:2].tolist()
    lone = without(model(), *({*range(STATES)} - {*kept})).backbone.layers[0]["mixer"]
    assert_close(small.backbone.layers[0]["mixer"](given), lone(given))


def test_a_smaller_model_streams_a_smaller_state(generator):
    lm, x = model(), tokens(generator)
    small = reduced(lm, 2, "refit", x)
    assert [state.scan.shape for state in small.initial_state(3)] == [(3, 12, 2)] * 2
    assert_close(streamed(small, x), small(x))


@pytest.mark.parametrize("form", ["single", "low", "hybrid", "dual"])
def test_every_form_of_a_mamba_loses_states(form, generator):
    sizes = mrss.MrssConfig(MambaConfig(dim=6, layers=2, states=4), form, 1 if form == "single" else 2)
    classifier = mrss.model(sizes, 3, 5, pooling="none", generator=generator).double()
    x = torch.randn(2, 12, 3, generator=generator, dtype=torch.float64)
    small = reduced(classifier, 2, "energy", x)
    assert {block.config.states for block in small.modules() if isinstance(block, MambaBlock)} == {2}
    assert small(x).shape == classifier(x).shape
    assert_close(streamed(small, x), small(x))
    assert torch.equal(reduced(classifier, 4, "energy", x)(x), classifier(x))


def test_what_learned_learns_on_and_what_was_frozen_stays(generator):
    lm, x = model().train(), tokens(generator)
    lm.backbone.layers[0]["mixer"].A_log.requires_grad_(False)
    small = reduced(lm, 2, "refit", x)
    assert small.training
    assert {name for name, weight in small.named_parameters() if not weight.requires_grad} == {
        "backbone.layers.0.mixer.A_log"
    }
    small(x).sum().backward()
    assert small.backbone.layers[1]["mixer"].x_proj.weight.grad.any()


def test_precision_and_backend_are_kept(generator):
    lm, x = model(backend="ref").float(), tokens(generator)
    small = reduced(lm, 2, "refit", x)
    assert {weight.dtype for weight in small.parameters()} == {torch.float32}
    assert small.config == replace(lm.config, states=2)


@pytest.mark.parametrize("keep", [0, STATES + 1, "4"])
def test_a_number_of_states_that_no_block_has_is_refused(keep, generator):
    with refused(f"keep = {keep!r}: an integer from 1 to {STATES} is needed"):
        reduce_states(model(), keep, "energy", tokens(generator))


def test_an_unknown_criterion_is_refused(generator):
    with refused(f"criterion = 'best': one of {', '.join(STATE_CHOICES)} is needed"):
        reduce_states(model(), 2, "best", tokens(generator))


def test_a_model_without_blocks_is_refused_and_the_way_is_named():
    with refused("a Linear without MambaBlock: there are no states to choose from; a Mamba of transformers becomes"):
        reduce_states(nn.Linear(2, 2), 2, "energy", torch.zeros(1, 2))
    with refused("model is of type str: a Module is needed", TypeError):
        reduce_states("mamba", 2, "energy", torch.zeros(1, 2))


def test_adapters_are_refused(generator):
    lm = seeded(MambaLM)
    add_lora(lm, r".*x_proj", 2, 4.0, generator=generator)
    with refused("backbone.layers.0.mixer.x_proj is a LoraLinear: a Linear is needed; merge adapters"):
        reduce_states(lm, 2, "energy", tokens(generator))


def test_data_that_is_no_tensor_is_refused():
    with refused("data is of type list: a tensor is needed", TypeError):
        reduce_states(model(), 2, "energy", [[1, 2]])


def test_a_classifier_of_features_loses_states(generator):
    classifier = MambaClassifier(MambaConfig(dim=6, layers=2, states=4), 3, 5, generator=generator).double()
    x = torch.randn(4, 20, 3, generator=generator, dtype=torch.float64)
    whole, small = classifier(x), reduced(classifier, 3, "refit", x)
    assert small(x).shape == whole.shape
    assert (small(x) - whole).norm() < 0.1 * whole.norm()
