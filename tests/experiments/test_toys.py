"""Small computations behind verdicts, against what is known of them by other ways."""

import json
import re

import pytest
import torch

from lib.experiments import toys
from lib.models.clip import load as clip
from lib.paths import BOOK
from lib.report.evidence import Evidence


def test_operations_of_the_proxy_are_those_that_the_original_report_printed():
    assert [round(count / 1e9, 2) for count in toys.proxy_operations()] == [38.59, 111.53, 92.24, 82.59]


def test_no_gradient_reaches_a_low_branch_outside_the_graph(generator):
    assert toys.proxy_gradients(generator) == {1: True, 2: False, 4: False}
    assert toys.proxy_gradients(generator, detach_upsample=False) == {1: True, 2: True, 4: True}


def test_every_weight_of_the_real_form_learns(generator):
    assert toys.weights_without_gradient(generator) == []


def test_superposition_holds_for_fixed_parameters_alone(generator):
    found = toys.superposition(generator)
    assert found["fixed"] < 1e-12
    assert found["selective"] > 0.1


def test_patches_and_operations_of_vit_b_16():
    assert toys.patches() == {side: (side // 16) ** 2 for side in (128, 224, 336, 448)}
    parts = {row["part"]: row["flops"] for row in toys.operations_by_part() if row["side"] == 224}
    assert parts["attention"] == 12 * 2 * 2 * 197**2 * 768  # layers, two products, a multiply-add each
    assert parts["patches"] == 2 * 196 * 768 * 768


def test_weights_of_the_encoder_and_of_an_adapter():
    assert toys.encoder_bytes() == pytest.approx(4 * 85.8e6, rel=1e-3)  # of float32
    assert toys.weights_of_a_projection(96, 3) == {"counted": 2 * 96 * 3, "claimed": 2 * 96 * 3}


def test_prompts_are_alike_where_no_word_was_read_yet():
    ours = clip.load("clip-scenes-0")
    prompts = ["a photo of a red circle", "a photo of a blue square"]
    assert toys.prompts_alike(ours, prompts) == {"start": True, "end": False}
    assert toys.prompts_alike(ours, prompts[:1] * 2) == {"start": True, "end": True}


def test_adapters_start_from_the_model_and_the_bottleneck_from_chance():
    found = toys.starts("clip-scenes-0", torch.Generator().manual_seed(0), 64)
    assert found["LoRA"] == found["unreduced"] > 0.9
    assert found["bottleneck"] < 0.2
    assert 0 < found["chance"] < 0.1
    assert found["images"] == 64


def test_pages_have_every_toy_in_one_way():
    """By its name, without an argument of the chapter: a toy that were computed otherwise would have two values."""
    for page in BOOK.glob("*.ipynb"):
        sources = ["".join(cell["source"]) for cell in json.loads(page.read_text())["cells"]]
        used = set(re.findall(r"toys\.(\w+)", "\n".join(sources)))
        functions = {name for name in used if callable(getattr(toys, name))}
        assert functions <= {"toy", "every"}, page.name
        assert not re.search(r"toys\.every\([^)]", "\n".join(sources)), page.name
        named = re.findall(r"toys\.toy\(([^)]*)\)", "\n".join(sources))
        assert {one for one in named if one != "name"} <= {f'"{name}"' for name in toys.TOYS}, page.name


def test_a_toy_has_one_value_and_evidence_knows_it():
    assert toys.toy("superposition") is toys.toy("superposition")
    toys.toy.cache_clear()
    torch.manual_seed(1)
    first = dict(toys.toy("superposition"))
    toys.toy.cache_clear()
    torch.manual_seed(2)
    assert toys.toy("superposition") == first
    assert [name for name in toys.TOYS if not hasattr(Evidence, name)] == []
    with pytest.raises(ValueError, match="toy 'moon': there are proxy_operations"):
        toys.toy("moon")
