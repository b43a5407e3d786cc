"""Toys on the original report's later claims, against what can be counted by hand."""

import pytest
import torch
from transformers import SiglipVisionConfig, SiglipVisionModel

from lib.experiments import artefact


@pytest.fixture(scope="module")
def consistent():
    return artefact.consistency(torch.Generator().manual_seed(0))


def test_text_read_at_the_start_gives_one_answer_to_all_images(consistent):
    start = consistent["start"]
    assert start["answers"] == 1
    assert start["agreement"] == 1
    assert start["accuracy"] == start["unreduced"] == consistent["chance"] == 1 / 32


def test_text_read_at_the_end_tells_classes_apart(consistent):
    end = consistent["end"]
    assert end["answers"] > 10
    assert end["unreduced"] > 0.9
    assert end["agreement"] < 0.5


def test_only_clip_has_all_that_the_original_code_needs():
    found = artefact.plugs()
    assert all(found["CLIP"].values())
    assert not any(found["ALIGN"].values())
    assert found["SigLIP"] == {"visual tokens": True, "class token": False, "as written": False, "mended": True}


def test_a_tower_with_a_pooling_head_keeps_its_width_without_half_of_its_patches():
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    tower = SiglipVisionModel(SiglipVisionConfig(image_size=64, patch_size=16, **sizes)).eval()
    assert artefact._runs(tower, "norm", torch.zeros(1, 3, 64, 64))


def test_maps_are_heads_times_tokens_squared():
    assert artefact.map_bytes()[224] == 4 * 12 * 197**2


def test_parameters_are_those_that_are_published():
    assert artefact.clip_parameters() == 149_620_737


def test_toys_are_the_same_whenever_they_are_made(consistent):
    assert artefact.consistency(torch.Generator().manual_seed(0)) == consistent
    assert artefact.plugs() == artefact.plugs()
