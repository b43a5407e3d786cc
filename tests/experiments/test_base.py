"""What experiments share: settings from anywhere, cases of declared parts, and frames that refuse others."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from lib.experiments import base, mrss_training
from lib.profilers import clocks
from lib.profilers.profile import Profile
from lib.provenance import environment
from lib.records import Case, RecordError

PARTS = {"cost": ("length",), "quality": ()}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    length: int
    names: tuple[str, ...] = ("a", "b")


@pytest.fixture
def made():
    cases = base.Cases(PARTS)
    cases.add("cost", "old word", Profile([1.0, 2.0, 3.0], peak_bytes=10, flops=5), length=8, input_bytes=2)
    cases.add("cost", "failed", Profile(error="out of memory: much"), length=8)
    cases.add("quality", "a", measured={"accuracies": {0: 0.5, 1: 0.7}, "losses": {0: [1.0], 1: [2.0]}})
    return base.record("toy", cases, Settings(length=8, seed=3), more=1)


@pytest.mark.parametrize("kind", [dict, SimpleNamespace])
def test_settings_are_taken_from_what_holds_them(kind):
    found = Settings.of(kind(length=4, dtype="float64", other=1, device=None), runs=7)
    assert (found.length, found.dtype, found.device, found.runs) == (4, "float64", "cpu", 7)


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"record": True}, True),
        ({"record": False, "retrain": True, "steps": 0}, True),
        ({"record": False, "retrain": True, "steps": 3}, False),  # a trial
        ({"record": False, "retrain": False, "steps": 0}, False),
        ({}, False),
    ],
)
def test_a_chapter_that_records_is_refused_before_it_measures_where_it_could_not(asked, refused, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(base, "WRITTEN", tmp_path / "file/runs")
    if refused:
        with pytest.raises(RecordError, match="nothing can be written there"):
            Settings.of(SimpleNamespace(length=4, **asked))
    else:
        assert Settings.of(SimpleNamespace(length=4, **asked))
    assert Settings.of({"length": 4, "record": True})  # of a preset, whose command says itself whether it records


def test_a_file_that_would_not_be_overwritten_is_named_before_anything_is_measured(tmp_path):
    path = tmp_path / environment().machine / "mrss_digits.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(RecordError, match=f"{path}: not readable"):
        mrss_training.Settings(task="digits").check_place(tmp_path)
    mrss_training.Settings(task="clocks").check_place(tmp_path)
    assert path.read_text() == "{"


def test_a_setting_that_is_nowhere_is_named():
    with pytest.raises(TypeError, match="length"):
        Settings.of({"seed": 1})


def test_a_record_holds_the_settings_and_what_is_given_besides(made):
    assert made.seed == 3
    assert "seed" not in made.parameters
    assert made.parameters["length"] == 8
    assert made.parameters["names"] == "a, b"
    assert made.parameters["more"] == 1


def test_a_frame_has_a_row_per_case_with_medians_and_memory_with_the_input(made):
    rows = base.frame([made], PARTS, words={"variant": {"old word": "new word"}})
    first, failed, _ = rows.itertuples()
    assert (first.variant, first.seconds, first.memory_bytes, first.flops) == ("new word", 2.0, 12, 5)
    assert (first.seconds_low, first.seconds_high) == (1.5, 2.5)
    assert failed.error == "out of memory: much"
    assert np.isnan([failed.seconds, failed.memory_bytes, failed.flops]).all()


def test_a_frame_says_by_which_clock_and_what_the_host_took(made):
    on_gpu = made.environment.model_copy(update={"gpu": "a GPU"})
    timed = [
        Case(variant="old", parameters={}, seconds=[2.0, 3.0]),
        Case(variant="new", parameters={}, seconds=[2.0, 3.0], host_seconds=[1.0, 2.0], clock=clocks.EVENTS),
    ]
    ours, theirs = (made.model_copy(update={"cases": timed, "environment": one}) for one in (made.environment, on_gpu))
    rows = base.frame([ours, theirs], {"cost": ()})
    assert list(rows["clock"]) == [clocks.WALL, clocks.EVENTS, clocks.SYNCHRONISED, clocks.EVENTS]
    assert list(rows["host_seconds"].fillna(0)) == [0, 1.5] * 2
    assert list(base.frame([made], PARTS)["clock"].isna()) == [False, True, True]  # one failed, one is no timing


def test_trainings_have_a_row_per_seed(made):
    rows = base.by_seed([made], PARTS, accuracies="accuracy", losses="loss")
    assert list(rows["seed"]) == [0, 1]
    assert list(rows["accuracy"]) == [0.5, 0.7]
    assert list(rows["loss"]) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"part": "costs", "length": 8}, "part 'costs' of 'v': one of cost, quality is needed"),
        ({"part": "cost"}, "part 'cost' of 'v' has no length"),
        ({}, "part None of 'v': one of cost, quality is needed"),
    ],
)
def test_a_case_that_readers_would_not_find_is_named(made, parameters, said):
    other = made.model_copy(update={"cases": [Case(variant="v", parameters=parameters, seconds=[1.0])]})
    with pytest.raises(RecordError, match=f"toy.json: {said}"):
        base.frame([other], PARTS)


def test_a_record_of_one_part_needs_not_name_it(made):
    other = made.model_copy(update={"cases": [Case(variant="v", parameters={}, seconds=[1.0])]})
    assert list(base.frame([other], {"cost": ()})["part"]) == ["cost"]


@pytest.mark.parametrize(("part", "said"), [("costs", "one of cost, quality is needed"), ("cost", "length not given")])
def test_what_would_not_be_found_is_not_written(part, said):
    with pytest.raises(ValueError, match=said):
        base.Cases(PARTS).add(part, "v", measured={"seconds": [1.0]})


@pytest.mark.parametrize(("name", "value"), [("runs", 0), ("warmup", -1), ("seed", -1)])
def test_a_number_that_is_too_small_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"{name} = {value}: "):
        base.Settings(**{name: value})
