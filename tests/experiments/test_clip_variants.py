"""Reductions on an equal scale: every row of the table, as little reduced as a share of the operations allows."""

from contextlib import suppress

import pytest
import torch
from towers import tower

from lib.experiments import clip_variants
from lib.experiments.clip_variants import KEEPS, MASSES, ORIGINAL, SUMMARY, TOME_CONSTANT
from lib.models.clip import cost as vit_cost
from lib.models.clip.reduction import reduce_tokens
from lib.names import REDUCTIONS, Method
from lib.profilers.flops import flops

FIXED = [one for one in clip_variants.variants() if not one.per_image]


@pytest.mark.parametrize("variant", FIXED, ids=lambda one: one.name)
def test_as_many_tokens_stay_as_a_share_of_the_operations_allows(variant):
    model = tower(dtype=torch.float32)
    reduced = clip_variants.at_ratio(model, variant.method, 0.7, **variant.options)
    assert clip_variants.cost(model, reduced) <= 0.7
    more = reduce_tokens(model, variant.method, reduced.keep + 1 / 16, **variant.options)
    assert clip_variants.cost(model, more) > 0.7


@pytest.mark.parametrize("tile", [1, 8])
@pytest.mark.parametrize("variant", FIXED, ids=lambda one: one.name)
def test_halving_finds_what_trying_every_number_finds(variant, tile):
    model = tower(dtype=torch.float32, side=48, num_hidden_layers=6)
    options = {**variant.options, "tile": tile}
    tried = dict(_tried(model, variant.method, options))
    for target in (0.3, 0.5, 0.7, 0.9):
        fitting = [keep for keep, cost in tried.items() if cost <= target]
        try:
            found = clip_variants.at_ratio(model, variant.method, target, **options).keep
        except ValueError:
            found = None
        assert found == max(fitting, default=None), target


def _tried(model, method, options):
    """Share that is kept and cost of every number of patches by which tokens do not run out."""
    patches = vit_cost.patches(model.config)
    for count in range(1, patches + 1):
        with suppress(ValueError):
            made = reduce_tokens(model, method, count / patches, **options)
            yield made.keep, clip_variants.cost(model, made)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        ("norm", 0.01, r"target = 0\.01: norm does not get there"),
        ("norm", -1, "target = -1: "),
        ("norm", float("nan"), "target = nan: "),
        ("norm", "half", "target = 'half': "),
        ("norm", None, "target = None: "),
        ("l2", 0.5, "method = 'l2': one of"),
        ("adaptive", 0.5, "method = 'adaptive': keeps another number of patches of every image"),
    ],
)
def test_a_share_that_no_method_gets_to_is_refused(method, target, words):
    with pytest.raises(ValueError, match=words):
        clip_variants.at_ratio(tower(), method, target)


def test_the_share_on_paper_is_that_of_what_runs():
    model = tower(dtype=torch.float32)
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for reduced in (
        clip_variants.at_ratio(model, "norm", 0.6, class_row_only=True),
        reduce_tokens(model, "original", 0.5),
    ):
        ran = flops(lambda reduced=reduced: reduced(x)) / flops(lambda: model(x))
        assert abs(ran - clip_variants.cost(model, reduced)) < 1e-6


def test_every_method_is_compared_and_all_have_the_same_last_layer():
    found = clip_variants.variants()
    assert {one.method for one in found} == set(REDUCTIONS) - {"original"}
    assert {one.name for one in found} == {row.label for row in REDUCTIONS.values()} - {ORIGINAL} | {
        SUMMARY,
        TOME_CONSTANT,
    }
    assert all(one.options["class_row_only"] for one in found)


def test_a_new_row_of_the_table_is_compared_under_its_label(monkeypatch):
    row = Method("dummy", REDUCTIONS["norm"].module, "the norm again")
    monkeypatch.setitem(REDUCTIONS, "dummy", row)
    model = tower(dtype=torch.float32)
    assert {name for name, _, _ in clip_variants.towers(model, [0.6])} >= {"dummy", "L2 norm"}
    assert [keep for name, keep in _kept(model) if name == "dummy"] == list(KEEPS)


def test_budgets_per_image_are_set_by_shares_of_attention():
    assert [keep for name, keep in _kept(tower(dtype=torch.float32)) if name == "adaptive"] == list(MASSES)


def _kept(model):
    return [(name, one.keep) for name, target, one in clip_variants.settings(model) if target is None]
