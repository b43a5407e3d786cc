"""What the chapter on visual tokens says, from the committed records and changed ones, on any number of machines."""

import clip_runs
import matplotlib as mpl
import pandas as pd
import pytest
from rehearsal import REFERENCE, evidence, machines

mpl.use("agg")
import matplotlib.pyplot as plt

from lib.experiments import clip_cost
from lib.experiments.clip_variants import NORM, OLD, ROUNDS, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.report import figures, frames, prose, tables
from lib.report.chapters import clip as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.evidence import Evidence
from lib.report.frames import Missing

pytestmark = pytest.mark.slow


@pytest.fixture
def found(tmp_path):
    return evidence(tmp_path, toys=clip_runs.TOYS)


def said(numbers):
    return prose.render("clip_vtp/discussion", numbers).data


def scaled(record, scale, *names):
    """The record with the seconds of these variants multiplied."""
    cases = [
        one.model_copy(update={"seconds": [scale * taken for taken in one.seconds]}) if one.variant in names else one
        for one in record.cases
    ]
    return record.model_copy(update={"cases": cases})


def test_latencies_follow_the_record(found, tmp_path):
    (record,) = found.records("clip_cost")
    before = chapter.numbers(found)
    slower = scaled(scaled(record, 1.5, ROUNDS), 2, "keep 0.5", "bfloat16")
    after = chapter.numbers(evidence(tmp_path / "slower", slower, toys=clip_runs.TOYS))
    assert after.half == pytest.approx(2 * before.half)
    assert after.half_precision == pytest.approx(2 * before.half_precision)
    assert after.merging == pytest.approx(1.5 * before.merging)
    assert after.resolutions[0]["latency_ratio"] == pytest.approx(1.5 * before.resolutions[0]["latency_ratio"])
    assert after.merging_operations == before.merging_operations
    assert after.excess[1] > before.excess[1]


def test_toys_reach_the_text(found, tmp_path):
    toys = clip_runs.TOYS | {
        "prompts_alike": {"start": False, "end": False},
        "operations_by_part": [
            {"side": side, "part": part, "flops": flops}
            for side in (224, 800)
            for part, flops in (("attention", side), ("MLP", 224))
        ],
    }
    numbers = chapter.numbers(evidence(tmp_path / "other", toys=toys))
    assert (numbers.usual, numbers.largest) == (224, 800)
    text = prose.render("clip_vtp/discussion", numbers).data
    assert "All prompts are different there" in text
    assert "**Three faults, not each of which surely costs the small CLIPs accuracy.**" in text
    assert "is 50 % of the operations at 224 pixels, and 78 % at 800" in text


def test_accuracies_follow_the_record(found, tmp_path):
    records = found.records("clip_accuracy_scenes")
    cases = [
        one.model_copy(update={"accuracies": {seed: share / 2 for seed, share in one.accuracies.items()}})
        if one.variant == ROUNDS
        else one
        for one in records[0].cases
    ]
    worse = records[0].model_copy(update={"cases": cases})
    before, after = (chapter.numbers(one) for one in (found, evidence(tmp_path / "worse", worse, toys=clip_runs.TOYS)))
    assert after.small[0].mean == pytest.approx(before.small[0].mean / 2)
    assert after.small[1] == before.small[1]
    assert after.lowest[0] == "none that we tried on scenes"
    tome = after.met["time"]["scenes"]["tome"]
    assert (tome.ahead, tome.behind) == (0, tome.total) == (0, before.met["time"]["scenes"]["tome"].total)
    lost = [after.tome[name].behind for name in ("operations", "time", "own_time")]
    assert all(lost)
    assert f"comparisons, and behind in {sum(lost)}.**" in said(after)
    assert [f"and behind in {one}{end}" in said(after) for one, end in zip(lost, ";;.", strict=True)] == [True] * 3


def test_a_guide_is_worse_on_the_data_sets_that_are_named(found):
    numbers = chapter.numbers(found)
    assert (numbers.worse, numbers.behind) == (["scenes"], ["CIFAR-10"])
    text = prose.render("clip_vtp/abstract", numbers).data
    assert "worse guide than chance on scenes, and on average on CIFAR-10 (Table 8)" in text


def test_duels_stand_per_task_and_peer(found):
    rows = chapter.duels(found)
    assert set(rows["task"]) == set(SMALL_CLIPS)
    assert set(rows["against"]) == set(chapter.PEERS)
    meets = chapter.numbers(found).met["operations"]["scenes"]["tome"]
    own = rows[rows["task"] == "scenes"]
    assert (meets.total, meets.ahead) == (len(own), (own["gained_low"] > 0).sum())


def test_a_slower_merging_is_ahead_less_often_by_time_and_as_often_by_operations(found, tmp_path):
    (record,) = found.records("clip_cost")
    before = chapter.numbers(found)
    after = chapter.numbers(evidence(tmp_path / "slower", scaled(record, 3, ROUNDS), toys=clip_runs.TOYS))
    assert after.met["operations"] == before.met["operations"]
    ahead = [sum(one.met["time"][task]["others"].ahead for task in one.best) for one in (before, after)]
    assert ahead[0] > ahead[1]
    assert all(after.best[task].max() < before.best[task].max() for task in after.best)
    assert after.small[0].time == pytest.approx(3 * before.small[0].time)


def test_each_fault_alone_is_said_to_cost_accuracy_where_it_surely_does(found, tmp_path):
    before = chapter.numbers(found)
    assert before.each_alone
    assert "**Each of three faults alone costs the small CLIPs accuracy.**" in said(before)
    (record,) = found.records("clip_accuracy_cifar10")
    whole = next(one for one in record.cases if OLD.get(one.variant, one.variant) == UNREDUCED)
    same = {"accuracies": whole.accuracies, "right": whole.right}
    cases = [one.model_copy(update=same) if one.variant == NORM else one for one in record.cases]
    kept = evidence(tmp_path / "kept", record.model_copy(update={"cases": cases}), toys=clip_runs.TOYS)
    assert not chapter.numbers(kept).each_alone


def test_small_models_are_introduced_with_their_own_accuracy(found):
    numbers = chapter.numbers(found)
    right = frames.where(found.clip_outcomes, task="cifar10", variant=UNREDUCED)["accuracy"]
    assert numbers.small[1].right == (right.min(), right.max())
    text = prose.render("clip_vtp/models", numbers).data
    assert f"- {100 * right.min():.1f} to {100 * right.max():.1f} % of CIFAR-10." in text
    assert "trained on the very captions" in text


def test_the_abstract_has_the_time_of_models_that_were_timed_alone(found, tmp_path):
    (record,) = found.records("clip_cost")
    cases = [one for one in record.cases if one.parameters["part"] != clip_cost.SMALL]
    small = [one for one in record.cases if one.parameters["part"] == clip_cost.SMALL]
    first = [one for one in small if one.parameters.get("task", "scenes") == "scenes"]
    for task in SMALL_CLIPS:
        own = {"task": task, "checkpoint": f"clip-{task}-0"}
        cases += [one.model_copy(update={"parameters": one.parameters | own}) for one in first]
    both = evidence(tmp_path / "both", record.model_copy(update={"cases": cases}), toys=clip_runs.TOYS)
    text = prose.render("clip_vtp/abstract", chapter.numbers(both)).data
    for task in SMALL_CLIPS.values():
        assert f"the memory of the image tower of the small CLIP of {task}, and retains" in text
    shared = [one.model_copy(update={"parameters": one.parameters | {"checkpoint": "clip-scenes-0"}})
              if "checkpoint" in one.parameters else one for one in cases]  # fmt: skip
    other = evidence(tmp_path / "other", record.model_copy(update={"cases": shared}), toys=clip_runs.TOYS)
    assert "small CLIP of CIFAR-10" not in prose.render("clip_vtp/abstract", chapter.numbers(other)).data


@pytest.mark.parametrize("lost", ["clip_cost", "clip_accuracy_cifar10", "clip_training_scenes"])
def test_without_a_record_there_are_no_numbers(tmp_path, lost):
    with pytest.raises(Missing, match=f"no record of {lost}"):
        chapter.numbers(evidence(tmp_path, toys=clip_runs.TOYS, without=[lost]))


def test_claims_without_their_record_are_not_testable(tmp_path):
    found = evidence(tmp_path, toys=clip_runs.TOYS, without=["clip_cost"])
    verdicts = [one for one in judged(found, clip_runs.CLAIMS) if one.on != "clip"]
    lost = {one.id for one in verdicts if one.verdict == NOT_TESTABLE}
    assert lost == {"B3", "B4", "B12", "B13"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("full", "cost_only", "count"), [(["t4"], [], None), ([], ["t4"], None), (["t4"], ["a100"], 10)]
)
def test_other_machines_are_compared_and_change_no_number(found, tmp_path, full, cost_only, count):
    runs = machines(tmp_path / "more", full=full, cost_only=cost_only, count=count)
    several = Evidence(clip_runs.TOYS, runs=runs)
    assert several.machine == REFERENCE
    for name in ("abstract", "models", "discussion"):
        assert [prose.render(f"clip_vtp/{name}", chapter.numbers(one)).data for one in (several, found)] == 2 * [
            prose.render(f"clip_vtp/{name}", chapter.numbers(found)).data
        ]
    across = chapter.across_machines(several)
    assert across["machine"].nunique() == (count or 2)
    assert (across.groupby("machine").size() == 4).all()
    _, ax = plt.subplots()
    figures.across_machines(ax, across)
    assert "half precision" in tables.across_machines(across, "Table 12. Recorded").data
    plt.close("all")


def test_without_any_record_of_costs_nothing_is_compared(tmp_path):
    across = chapter.across_machines(evidence(tmp_path, without=["clip_cost"]))
    assert isinstance(across, pd.DataFrame)
    assert across.empty
