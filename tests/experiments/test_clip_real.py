"""A model in the hub's layout gets a record of its own, which views and judges of the real CLIP read."""

import clip_runs
import clips as small
import pytest
from rehearsal import evidence

from lib.experiments import clip_accuracy, clip_variants
from lib.experiments.clip_accuracy import OURS, REAL, Settings
from lib.experiments.clip_variants import MENDED, ORIGINAL, RANDOM, SWAPPED, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.paths import CHECKPOINTS
from lib.provenance import environment
from lib.records import RecordError
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.tasks.training import clips

BY_SHARE = [one for one in clip_variants.variants() if one.by_share]
NAME = "clip_accuracy_cifar10_clip_vit_base_patch16"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model by the name that the real one has on the hub."""
    path = tmp_path_factory.mktemp("openai")
    return small.folder(path).rename(path / "clip-vit-base-patch16")


@pytest.fixture(scope="module")
def made(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_accuracy, "sweep", clip_runs.here)
        patch.setattr(clips, "held_out", lambda *_: small.scenes(24))  # in CIFAR-10's place
        patch.setattr(clip_variants, "towers", lambda *_: iter(()))  # those take seconds, and are tested on ours
        patch.setattr(clip_variants, "variants", lambda: BY_SHARE)
        return clip_accuracy.run(Settings(task="cifar10", model=str(folder), count=24))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (REAL, "cifar10_clip_vit_base_patch16"),
        ("laion/CLIP-ViT-B-16.v2", "cifar10_clip_vit_b_16_v2"),
        (OURS, "cifar10"),
    ],
)
def test_a_record_is_named_after_data_and_model(model, name):
    assert Settings(task="cifar10", model=model).record_task == name
    assert clip_accuracy.record_task("cifar10", model) == name


def test_the_record_tells_the_model_and_not_where_it_lies(made, folder):
    assert made.experiment == NAME
    assert made.parameters["model"] == "clip-vit-base-patch16"
    assert str(folder.parent) not in made.model_dump_json()


def test_every_variant_stands_beside_one_unreduced_model(made):
    rows = clip_accuracy.frame([made])
    assert (rows["variant"] == UNREDUCED).sum() == 1
    assert set(rows["variant"]) == {UNREDUCED, ORIGINAL, MENDED, SWAPPED, *(one.name for one in BY_SHARE)}
    assert set(rows["seed"]) == {0}
    mended = rows[rows["variant"] == MENDED].iloc[0]
    assert mended["cosine"] == pytest.approx(1, abs=1e-4)
    assert not rows.duplicated(["variant", "keep", "target"]).any()


def test_views_and_judges_read_what_was_written(made, tmp_path):
    found = evidence(tmp_path, made)
    assert set(found.real_clip_reduced["task"]) == {SMALL_CLIPS["cifar10"]}
    assert set(found.real_clip_norm_against_random["variant"]) >= {RANDOM}
    assert found.real_clip_forms["mended"] == pytest.approx(1, abs=1e-4)
    for claim in ("B5", "B6", "B7", "B8", "B9"):
        (verdict,) = judged(found, [claim], on="clip")
        assert verdict.verdict != NOT_TESTABLE
        assert verdict.records == (NAME,)


def test_variants_of_a_model_and_checkpoints_of_ours_are_judged_apart():
    other = clip_accuracy.planned(Settings(task="cifar10", model=REAL, device="cpu"))
    assert len({one.variant for one in other}) == len(other) == len(clip_variants.variants()) + 2
    assert {one.name for one in other} == {REAL}
    ours = clip_accuracy.planned(Settings(task="scenes", seeds=2))
    assert [(one.name, one.variant) for one in ours] == [("clip-scenes-0", ""), ("clip-scenes-1", "")]
    assert ours[0].reads == sorted(one for one in (CHECKPOINTS / "clip-scenes-0").iterdir() if one.is_file())


def test_a_folder_that_changes_is_judged_anew(folder):
    (one, *_) = clip_accuracy.planned(Settings(task="cifar10", model=str(folder)))
    assert folder / "config.json" in one.reads


def test_what_is_no_model_is_refused_before_anything_is_loaded():
    with pytest.raises(ValueError, match="`model` is 'clip vit'; allowed is 'auto'"):
        clip_accuracy.run(Settings(task="cifar10", model="clip vit"))


def test_a_file_in_the_place_of_its_record_is_seen_before_anything_is_judged(tmp_path):
    settings = Settings(task="cifar10", model=REAL)
    settings.check_place(tmp_path)
    place = tmp_path / environment("cpu").machine
    place.mkdir()
    (place / f"{NAME}.json").write_text("{}")
    with pytest.raises(RecordError, match=NAME):
        settings.check_place(tmp_path)
