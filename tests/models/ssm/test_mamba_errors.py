"""What Mamba refuses, with the value or the shape and what is allowed."""

import re

import pytest
import torch
from refusals import refused
from seeded_mambas import VOCABULARY, config, seeded, tokens

from lib.models.ssm.mamba import MambaBackbone, MambaBlock, MambaClassifier, MambaLM


@pytest.mark.parametrize("name", ["dim", "layers", "states", "expand", "kernel", "rank", "vocabulary"])
def test_a_size_below_one_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} = 0: an integer of at least 1"):
        config(**{name: 0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": "many"}, "rank = 'many': an integer of at least 1, or 'auto', is needed"),
        ({"norm_eps": 0.0}, "norm_eps = 0.0: more than 0"),
        ({"time_step_min": 0.0}, "time_step_min = 0.0: more than 0"),
        ({"time_step_floor": -1.0}, "time_step_floor = -1.0: more than 0"),
        ({"time_step_max": 1e-4}, "time_step_max = 0.0001: at least 0.001 is needed, which is time_step_min"),
        ({"backend": "triton"}, "backend = 'triton': one of auto, cpp, cuda, torch, ref"),
    ],
)
def test_an_impossible_config_is_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config(**options)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 0, 6), (0, 5, 6)])
def test_a_wrong_size_is_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape}: (B, T, 6) with B >= 1 and T >= 1")):
        seeded(MambaBlock)(torch.zeros(shape))


def test_a_wrong_shape_is_refused_by_its_annotation():
    with pytest.raises(Exception, match="B T D"):
        seeded(MambaBlock)(torch.zeros(3, 6))


@pytest.mark.parametrize(("bad", "range"), [(-1, "-1 to 0"), (VOCABULARY, "0 to 11")])
def test_tokens_outside_the_vocabulary_are_refused(bad, range):
    with pytest.raises(ValueError, match=f"tokens {range} of torch.int64: integers from 0 to 10"):
        seeded(MambaLM)(torch.tensor([[0, bad]]))


def test_numbers_in_place_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r"of torch.float32: integers from 0 to 10"):
        seeded(MambaBackbone)(torch.zeros(2, 5, 6))


def test_what_a_head_lacks_is_named(generator):
    with pytest.raises(ValueError, match="vocabulary = None: a language model needs"):
        MambaLM(config(vocabulary=None))
    with pytest.raises(ValueError, match="inputs = 4, vocabulary = 11: exactly one"):
        MambaClassifier(config(), 4, 3)
    with pytest.raises(ValueError, match="pooling = 'max': one of mean, last"):
        MambaClassifier(config(), None, 3, pooling="max")
    with pytest.raises(
        ValueError, match=re.escape("input of shape (2, 5, 3): (B, T, 4) with B >= 1 and T >= 1 is needed")
    ):
        seeded(MambaClassifier, 4, 3, vocabulary=None)(torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match=re.escape("temperature = -1.0: at least 0 is needed")):
        seeded(MambaLM).generate(tokens(generator), 2, temperature=-1.0)
    with pytest.raises(ValueError, match="new_tokens = -1: an integer of at least 0 is needed"):
        seeded(MambaLM).generate(tokens(generator), -1)


@pytest.mark.parametrize("shape", [(2, 0), (0, 5), (5,), (), (2, 5, 1)])
def test_tokens_of_a_wrong_shape_are_called_tokens(shape):
    x = torch.zeros(shape, dtype=torch.int64)
    for model in (seeded(MambaBackbone), seeded(MambaLM), seeded(MambaClassifier, None, 3)):
        with refused(f"tokens of shape {shape}: (B, T) with B >= 1 and T >= 1 is needed"):
            model(x)
    with refused(f"tokens of shape {shape}: (B, T) with B >= 1 and T >= 1 is needed"):
        seeded(MambaLM).generate(x, 3)


def test_a_list_of_tokens_is_refused():
    with refused("tokens is of type list: a tensor is needed", TypeError):
        seeded(MambaLM)([[0, 1]])


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 4), (2, 0, 6)])
def test_numbers_of_a_wrong_shape_are_refused(shape):
    with refused(f"input of shape {shape}: (B, T, 6) with B >= 1 and T >= 1 is needed"):
        seeded(MambaBackbone, vocabulary=None)(torch.zeros(shape))


def test_a_classifier_quotes_an_input_without_features():
    with refused("input of shape (5, 4): (B, T, 4) with B >= 1 and T >= 1 is needed"):
        seeded(MambaClassifier, 4, 3, vocabulary=None)(torch.zeros(5, 4))


@pytest.mark.parametrize("size", [0, -1, "3", None])
def test_a_classifier_without_classes_is_refused(size):
    with refused(f"classes = {size!r}: an integer of at least 1 is needed"):
        MambaClassifier(config(), None, size)


def test_a_classifier_without_features_is_refused():
    with refused("inputs = 0: an integer of at least 1, or None, is needed"):
        MambaClassifier(config(vocabulary=None), 0, 3)
