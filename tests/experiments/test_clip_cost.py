"""Costs of CLIP's tokens at smoke size: what is written is read by every number, figure, table and judge."""

import clip_runs
import matplotlib as mpl
import pytest
from rehearsal import evidence

mpl.use("agg")
from matplotlib.figure import Figure

from lib.experiments import base, clip_cost
from lib.experiments.clip_cost import METHODS, ORIGINAL, RESOLUTION, SMALL
from lib.experiments.clip_variants import KEEPS, SHARE, SLICED, UNREDUCED, variants
from lib.names import REDUCTIONS, SMALL_CLIPS
from lib.profilers.profile import Profile
from lib.records import RecordError
from lib.report import prose
from lib.report.chapters import clip as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.figures import clip as figures
from lib.report.frames import clip as frames
from lib.report.tables import clip as tables
from lib.report.tables import profile_table

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return clip_runs.cost()


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=clip_runs.TOYS)


def test_every_part_holds_what_it_compares(made):
    rows = clip_cost.frame([made])
    names = {part: set(group["variant"]) for part, group in rows.groupby("part")}
    compared = {one.name for one in variants() if not one.per_image}
    assert names[ORIGINAL] == {UNREDUCED, *(f"keep {keep}" for keep in (1.0, *KEEPS))}
    timed = {name for name in names[METHODS] if f"{name}{SLICED}" in names[METHODS]}
    assert compared - timed <= {"ToMe, constant"}  # which does not get to so few operations
    assert names[METHODS] - timed - {f"{name}{SLICED}" for name in timed} == {UNREDUCED, clip_cost.HALF_PRECISION}
    assert names[SMALL] == {UNREDUCED, *compared}
    assert (rows.loc[rows["part"] == RESOLUTION, "patches"] == 16).all()
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes", "flops"]].gt(0).all(axis=None)


def test_tokens_follow_the_models_sizes(made):
    ours = made.model_copy(update={"parameters": made.parameters | {"timed": "clip-scenes-0"}})
    for one, patches in ((made, 49), (ours, 64)):
        rows = clip_cost.frame([one])
        rows = rows[rows["part"] == ORIGINAL].set_index("variant")["tokens"]
        assert dict(rows) == {UNREDUCED: 1 + patches} | {
            f"keep {keep}": 1 + int(keep * patches) for keep in (1.0, *KEEPS)
        }


def test_the_committed_record_is_read_in_todays_words(tmp_path):
    rows = evidence(tmp_path).frame(clip_cost)
    assert dict(rows.groupby("part").size()) == {ORIGINAL: 6, METHODS: 16, RESOLUTION: 8, SMALL: 96}
    assert set(rows.loc[rows["part"] == SMALL, "task"]) == set(SMALL_CLIPS)
    assert not rows["variant"].isin(["untouched", "seed's code"]).any()


def test_one_method_alone_is_timed_where_nothing_is_recorded(made, monkeypatch):
    one = Profile(seconds=[1.0, 1.0], peak_bytes=1, flops=1)
    monkeypatch.setattr(clip_cost, "profile", lambda calls, **_: dict.fromkeys(calls, one))
    settings = clip_cost.Settings.of(made.parameters, method="norm", compare=False, seed=0)
    rows = clip_cost.frame([clip_cost.run(settings)])
    assert set(rows["part"]) == {ORIGINAL, METHODS, RESOLUTION}
    assert set(rows.loc[rows["part"] == METHODS, "variant"]) == {UNREDUCED, REDUCTIONS["norm"].label}
    shown = profile_table(frames.measured(rows), "Table 1. This run").data
    assert "| L2 norm " in shown
    assert "| merge in rounds, 128 pixels " in shown


def test_every_number_is_there_and_in_the_text(found):
    numbers = chapter.numbers(found)
    assert (numbers.usual, numbers.resolutions[0]["side"]) == (224, 128)
    for name in ("abstract", "discussion"):
        text = prose.render(f"clip_vtp/{name}", numbers).data
        assert "nan" not in text
        assert "None" not in text


def test_every_judge_decides(found):
    verdicts = judged(found, clip_runs.CLAIMS)
    assert list(dict.fromkeys(one.id for one in verdicts)) == clip_runs.CLAIMS
    assert [one.evidence for one in verdicts if one.verdict == NOT_TESTABLE and one.on != "clip"] == []
    assert {one.id for one in verdicts if "clip_cost" in one.records} == {"B3", "B4", "B12", "B13"}


def test_figures_tables_and_comparison_are_drawn(found):
    assert isinstance(figures.costs(found), Figure)
    assert isinstance(figures.accuracies(found.clip_by_ratio), Figure)
    assert "|    0.5 |" in tables.original(found, "Table 2. Recorded").data
    timed = set(found.clip_overheads["variant"])
    shown = tables.overheads(found.clip_overheads, f"Table 3. At most {SHARE}. Recorded").data
    assert all(f"| {name} " in shown for name in timed)
    assert "128" in tables.resolutions(found.clip_resolution, "Table 4. Recorded").data
    across = chapter.across_machines(found)
    assert across["what"].nunique() == 4
    assert across["ratio"].notna().all()


def test_a_record_of_one_small_model_counts_for_all_tasks_and_says_which_was_timed(made, tmp_path):
    cases = [
        one.model_copy(
            update={"parameters": {k: v for k, v in one.parameters.items() if k not in ("task", "checkpoint")}}
        )
        for one in made.cases
        if one.parameters.get("task") != "cifar10"
    ]
    rows = evidence(tmp_path, made.model_copy(update={"cases": cases}), toys=clip_runs.TOYS).clip_by_ratio
    assert set(rows["task"]) == set(SMALL_CLIPS)
    assert set(rows["checkpoint"]) == {"clip-scenes-0"}
    assert rows[["latency_ratio", "memory_ratio"]].gt(0).all(axis=None)


@pytest.mark.parametrize("part", clip_cost.PARTS)
def test_a_part_of_another_name_is_found(made, part):
    cases = [
        one.model_copy(update={"parameters": one.parameters | {"part": f"{part}s"}})
        if one.parameters["part"] == part
        else one
        for one in made.cases
    ]
    with pytest.raises(RecordError, match=f"part '{part}s'"):
        clip_cost.frame([made.model_copy(update={"cases": cases})])


def test_a_case_without_a_declared_column_is_refused():
    with pytest.raises(ValueError, match="keep, input_bytes not given"):
        base.Cases(clip_cost.PARTS).add(ORIGINAL, UNREDUCED, batch=1, side=224)
