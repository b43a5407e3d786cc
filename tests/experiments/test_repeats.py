"""What is run again: found in the records that are there, set beside them, and shown with the largest difference."""

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from rehearsal import COMMITTED, evidence

from lib import records
from lib.experiments import base, mrss_scan, repeated, repeats, ssm_scaling, ssm_scan
from lib.experiments.repeated import Again, Cost, Training
from lib.profilers.profile import Profile
from lib.report.frames import Missing
from lib.report.tables import repeats as tables

TOY = {"part": ("length",)}


def toy(name, seconds, accuracies=None):
    """A record in which each variant took these seconds, and was as often right."""
    cases = base.Cases(TOY)
    for variant, runs in seconds.items():
        cases.add("part", variant, Profile(runs), length=1)
    for variant, share in (accuracies or {}).items():
        cases.add("part", variant, measured={"accuracies": {0: share}}, length=2, task="digits", steps=7)
    return records.new(name, cases, seed=0, parameters={"runs": 3, "sizes": "1, 2"})


FIRST = {"baseline": [1.0, 2.0, 4.0], "half": [0.5, 1.0, 2.0], "gone": [1.0, 1.0, 1.0]}
SECOND = {"baseline": [1.0, 1.0, 1.0], "half": [0.5, 0.6, 0.7], "new": [1.0, 1.0, 1.0]}


def cost(second=SECOND):
    module = ModuleType("toy")
    vars(module).update(NAME="toy", PARTS=TOY, Settings=base.Settings, frame=lambda found: base.frame(found, TOY))
    return Cost(module, lambda settings: toy("toy", second), "baseline", ("part", "length"))


@pytest.fixture
def made(monkeypatch):
    """A run in which one cost and one training are made again."""
    held = {"toy": toy("toy", FIRST), "trained": toy("trained", {}, {"low": 0.9577})}
    kinds = (("trained", 1), ("trained", 2), ("absent", 1))
    again = [Training(record, "low", lambda again: 0.0, {"part": "part"}, threads=threads) for record, threads in kinds]
    monkeypatch.setattr(repeats, "costs", lambda wait: [cost()])
    monkeypatch.setattr(repeats, "trainings", lambda: again)
    monkeypatch.setattr(repeats, "_recorded", lambda name, settings: held.get(name))
    monkeypatch.setattr(repeats, "sweep", lambda plans, *_, **__: {one: {"accuracy": 0.9644} for one in plans})
    return repeats.run(repeats.Settings())


def test_a_ratio_is_formed_round_by_round_and_set_beside_the_recorded_one(made):
    rows = repeats.frame([made]).set_index("variant")
    assert list(rows.index) == ["half", "low", "low"]  # neither what is new nor what is gone
    assert (rows.loc["half", "first"], rows.loc["half", "second"]) == (0.5, 0.6)
    assert rows.loc["half", "difference"] == pytest.approx(0.2)
    assert rows.loc["half", "setting"] == "part part, length 1, relative to baseline"
    assert rows.loc["half", "runs"].tolist() == SECOND["half"]


def test_what_a_gpu_trained_is_trained_again_there_and_one_after_another(monkeypatch):
    seen = {}

    def sweep(plans, work, folder, workers):
        seen.update(plans=list(plans), workers=workers)
        return {one: {"accuracy": 0.5} for one in plans}

    again = [Training("trained", "low", lambda again: 0.0, {"part": "part"}, threads=threads) for threads in (1, 2)]
    monkeypatch.setattr(repeats, "trainings", lambda: again)
    monkeypatch.setattr(repeats, "_recorded", lambda *_: toy("trained", {}, {"low": 0.9577}))
    monkeypatch.setattr(repeats, "sweep", sweep)
    repeats._add_trainings(base.Cases(repeats.PARTS), repeats.Settings(device="cuda"))
    assert seen == {"plans": [Again("trained", "digits", "low", 7, 0, device="cuda")], "workers": 1}


def test_an_accuracy_differs_by_a_share_and_names_its_training(made):
    row, other = (row for _, row in repeats.frame([made]).set_index("variant").loc["low"].iterrows())
    assert (row["first"], row["second"], row["of"]) == (0.9577, 0.9644, "trained")
    assert row["difference"] == pytest.approx(0.0067)
    assert row["setting"] == "digits, seed 0, 7 steps"
    assert other["setting"] == "digits, seed 0, 7 steps, the second on 2 threads"
    assert row["commit"] == made.commit


def test_a_machine_without_any_of_the_records_has_nothing_to_run_again(monkeypatch):
    monkeypatch.setattr(repeats, "_recorded", lambda name, settings: None)
    with pytest.raises(ValueError, match="nothing that is run again is recorded of it"):
        repeats.run(repeats.Settings())


def test_the_tables_show_the_largest_difference_of_a_record(made, tmp_path):
    found = evidence(tmp_path, made)
    assert (found.repeated_costs["ratios"].tolist(), found.repeated_costs["median"].tolist()) == (
        [1],
        [pytest.approx(0.2)],
    )
    shown = tables.costs(found.repeated_costs, "Table 1. Costs").data
    assert "+20.0 %" in shown
    assert "0.5 → 0.6" in shown
    assert "half: part part, length 1, relative to baseline" in shown
    shown = tables.trainings(found.repeated_trainings, "Table 2. Trainings").data
    assert " 95.77 |" in shown
    assert "+0.67" in shown


def test_of_many_ratios_the_one_that_differs_most_is_shown(tmp_path):
    cases = base.Cases(repeats.PARTS)
    for variant, second in (("a", 1.01), ("b", 0.5), ("c", 1.1)):
        at = dict(of="scan", setting="x", first=1.0, second=second, commit="1234567", recorded="2026-11-27")
        cases.add(repeats.COST, variant, Profile([1.0, 1.0]), **at)
    row = evidence(tmp_path, base.record("repeats", cases, repeats.Settings())).repeated_costs.iloc[0]
    assert (row["variant"], row["ratios"]) == ("b", 3)
    assert row["median"] == pytest.approx(0.1)
    assert "−50.0 %" in tables.costs(pd.DataFrame([row]), "Table 1. Costs").data


def test_without_the_record_it_is_missing(tmp_path):
    without = [] if not (COMMITTED / "repeats.json").exists() else ["repeats"]
    with pytest.raises(Missing, match="no record of repeats"):
        evidence(tmp_path, without=without).repeated_costs.empty  # noqa: B018


@pytest.mark.parametrize("one", repeated.trainings(), ids=lambda one: f"{one.record}, {one.variant}, {one.threads}")
def test_every_training_that_is_made_again_is_recorded_once(one):
    found = [case for case in records.read(COMMITTED / f"{one.record}.json").cases if repeats._is(case, one)]
    assert len(found) == 1
    assert {"task", "steps"} <= set(found[0].parameters)


@pytest.mark.parametrize("one", repeated.costs(False), ids=lambda one: f"{one.experiment.NAME}, {one.baseline}")
def test_every_cost_that_is_made_again_has_ratios_and_settings_in_its_record(one):
    first = records.read(COMMITTED / f"{one.experiment.NAME}.json")
    found = {key: ratio for key, ratio, _ in repeated.ratios(one.experiment.frame([first]), one)}
    assert found
    assert all(np.isfinite(list(found.values())))
    settings = repeats.settings_of(one.experiment.Settings, first, **one.more)
    assert (settings.seed, settings.runs) == (first.seed, first.parameters["runs"])


def test_the_scans_ratios_are_those_of_warm_caches_all_threads_and_kept_memory():
    first = records.read(COMMITTED / "scan.json")
    (one,) = [one for one in repeated.costs(False) if one.experiment is ssm_scan]
    found = {key: ratio for key, ratio, _ in repeated.ratios(ssm_scan.frame([first]), one)}
    at = dict(part="forward", threads=2, keep_freed=True, after="itself", length=2048)
    cases = {case.variant: case.seconds for case in first.cases if at.items() <= case.parameters.items()}
    wanted = np.median(np.array(cases["llama.cpp"]) / np.array(cases["cpp"]))
    assert found["llama.cpp", "forward", 2048] == pytest.approx(wanted)


@pytest.mark.slow
def test_a_part_of_an_experiment_is_run_alone():
    sizes = ssm_scaling.Settings(batch=1, length=64, dim=16, state=4, runs=2, warmup=0)
    made = ssm_scaling.run(sizes, {"part": (ssm_scaling.GATE,)})
    assert {case.parameters["part"] for case in made.cases} == {ssm_scaling.GATE}
    sizes = mrss_scan.Settings(r=2, longest=64, width=16, layers=2, runs=2, warmup=0)
    made = mrss_scan.run(sizes, {"dim": (16,), "length": (4,)})
    assert {(case.parameters["dim"], case.parameters["length"]) for case in made.cases} == {(16, 4)}


@pytest.mark.slow
@pytest.mark.parametrize(("record", "task", "variant"), [("mrss_motions", "motions", "low, r = 8")])
def test_a_training_is_the_same_twice(record, task, variant):
    before, again = torch.get_num_threads(), Again(record, task, variant, 2, 0)
    assert repeated.train(again) == repeated.train(again)
    torch.set_num_threads(before)
