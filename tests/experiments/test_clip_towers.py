"""Towers of transformers, small: what is counted and timed, and what a page says of it."""

import pytest
import torch
import transformers
from refusals import refused
from rehearsal import alone

from lib import names
from lib.experiments import clip_towers
from lib.experiments.clip_towers import METHODS, TOWERS, Settings, Sizes, compared
from lib.experiments.clip_variants import UNREDUCED
from lib.models.clip.reduction import kind
from lib.models.clip.tower.families import FAMILIES
from lib.report import prose
from lib.report.chapters import clip_towers as chapter
from lib.report.tables import clip_towers as tabled

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "patch_size": 8}
SMALL = {"a ViT": Sizes("ViT", 32, SIZES), "a SigLIP": Sizes("SiglipVision", 32, SIZES)}
EXACT = [method for method in names.REDUCTIONS if kind(method).exact]
READING = [method for method in EXACT if kind(method).reads_class]


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_towers, "TOWERS", SMALL)
        return clip_towers.run(Settings(runs=2, warmup=0))


def test_every_family_that_is_served_is_in_the_table():
    assert {one.name.removesuffix("Vision") for one in TOWERS.values()} == {one.prefix for one in FAMILIES}


@pytest.mark.parametrize("name", TOWERS)
def test_sizes_are_those_of_published_towers(name):
    """By the number of patches and of weights of a layer; nothing is built, a configuration says it."""
    sizes = TOWERS[name]
    config = getattr(transformers, f"{sizes.name}Config")(image_size=sizes.side, **sizes.options)
    patch = int(name.split("/")[1].split(",")[0])
    assert config.patch_size == patch
    large = "-L/" in name
    assert (config.hidden_size, config.num_hidden_layers) == ((1024, 24) if large else (768, 12))
    assert config.hidden_size // config.num_attention_heads == 64
    assert config.image_size == (int(name.split(", ")[-1].split()[0]) if "pixels" in name else 224)


def test_each_tower_is_timed_whole_and_at_half(made):
    rows = clip_towers.frame([made])
    labels = {names.REDUCTIONS[method].label for method in METHODS}
    for tower in SMALL:
        assert set(rows.loc[rows["tower"] == tower, "variant"]) == {UNREDUCED} | labels
    assert set(rows["patches"]) == {16}
    by = rows[rows["variant"] == UNREDUCED].set_index("tower")
    assert (by.loc["a ViT", "same"], by.loc["a ViT", "refused"]) == (len(EXACT), "")
    assert by.loc["a SigLIP", "same"] == len(EXACT) - len(READING)
    assert by.loc["a SigLIP", "refused"].split(", ") == READING
    assert (by["apart"] == "").all()


def test_a_method_that_changes_the_output_is_told_apart():
    tower, x = SMALL["a ViT"].built(0), torch.randn(1, 3, 32, 32)

    class Other(torch.nn.Module):
        """Another output than the tower's."""

        def forward(self, x):
            found = tower(x)
            found.last_hidden_state = found.last_hidden_state + 1
            return found

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(clip_towers, "reduce_tokens", lambda *_: Other())
        same, apart, without = compared(tower, x)
    assert (same, apart, without) == (0, EXACT, [])


def test_the_page_says_what_was_recorded(made, tmp_path):
    found = alone(tmp_path, made)
    numbers = chapter.numbers(found)
    assert (numbers.towers, numbers.exact) == (2, 2)
    assert numbers.refusing == ("*a SigLIP*",)
    said = prose.render("clip_vtp/towers", numbers).data
    assert "so *a SigLIP* refuses them" in said
    shown = tabled.served(found, "Table 1. A title").data
    assert f"{len(EXACT)} of {len(EXACT)}" in shown
    assert shown.count("\n| a ") == 2


def test_without_a_record_the_page_says_so(tmp_path):
    assert "Not recorded yet" in prose.render("clip_vtp/towers", chapter.numbers(alone(tmp_path))).data


def test_what_is_refused_is_there_with_its_reason():
    shown = tabled.refused("Table 1. A title").data
    assert "`align`" in shown
    assert "convolutions need every cell of a grid" in shown


def test_an_unknown_tower_is_refused():
    with refused("only = 'CLIP ViT-G': one of CLIP ViT-B/32; "):
        clip_towers.run(Settings(only="CLIP ViT-G"))
