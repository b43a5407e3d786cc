"""The record of the fair comparison: what is written is read by its frame, part by part."""

from dataclasses import replace

import pytest
import torch
from parity_task import PLAN, parity

from lib.experiments import mrss_compared, mrss_fair, mrss_plans
from lib.experiments.mrss_compared import FORWARD, LENGTHS, TRAINED, TRAINING, TRIED, Settings
from lib.experiments.mrss_fair import Outcome
from lib.records import RecordError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def made():
    def here(runs, work, folder, **_):  # in this process, nothing kept: the sweep has tests of its own
        return {run: work(run) for run in runs}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(mrss_plans.PLANS, "parity", PLAN)
        patch.setitem(mrss_compared.LABELS, "parity", "parity")
        patch.setattr(mrss_fair, "BENCHMARKS", {"parity": parity})
        for module in (mrss_fair, mrss_compared):
            patch.setattr(module, "sweep", here)
        return mrss_compared.run(Settings(task="parity", trainings=2, steps=8, runs=2, warmup=0))


def test_every_part_holds_every_variant(made):
    rows = mrss_compared.frame([made])
    assert made.experiment == "mrss_compared_parity"
    for part in (FORWARD, TRAINING, TRIED, TRAINED, LENGTHS):
        assert set(rows.loc[rows["part"] == part, "variant"]) == {"baseline", "low, r = 8"}, part
    assert rows["error"].isna().all()


def test_the_record_names_its_protocol_and_sizes(made):
    assert "held-back" in made.parameters["protocol"]
    assert (made.parameters["dim"], made.parameters["length"], made.parameters["source"]) == (40, 16, "")


def test_each_variant_was_tried_at_five_settings(made):
    rows = mrss_compared.frame([made])
    tried = rows[rows["part"] == TRIED].groupby("variant")[["rate", "decay"]].apply(len)
    assert set(tried) == {5}


def test_trainings_are_read_by_seed(made):
    rows = mrss_compared.outcomes([made])
    trained = rows[rows["part"] == TRAINED]
    assert set(trained["seed"]) == {0, 1}
    assert trained["accuracy"].between(0, 1).all()
    assert trained["loss"].gt(0).all()
    longer = rows[rows["part"] == LENGTHS]
    assert set(longer["length"]) == {24}
    assert longer["accuracy"].between(0, 1).all()


def test_a_training_that_diverged_is_a_recorded_result():
    cases = mrss_compared.base.Cases(mrss_compared.PARTS)
    run = mrss_fair.Training("parity", "baseline", mrss_plans.variants(PLAN)["baseline"], 1e-2, 0.01, 8, 0, judged=True)
    lost, done = Outcome(None, [], [], 0, 1.0), Outcome(1.0, [1.0], [1.0], 8, 1.0, 0.5, 1.0, {})
    mrss_compared.add_trainings(cases, "parity", [(run, "steps", lost), (replace(run, seed=1), "steps", done)])
    assert cases[0].error == "the loss was not finite from 1 of 2 seeds"


@pytest.mark.parametrize("column", ["rate", "budget", "length"])
def test_a_column_that_is_renamed_is_missed(made, column):
    part = {"rate": TRIED, "budget": TRAINED, "length": LENGTHS}[column]
    case = next(one for one in made.cases if one.parameters["part"] == part)
    other = {name: value for name, value in case.parameters.items() if name != column} | {"renamed": 1}
    broken = made.model_copy(update={"cases": [case.model_copy(update={"parameters": other})]})
    with pytest.raises(RecordError, match=f"has no {column}"):
        mrss_compared.frame([broken])


def test_a_task_and_a_variant_that_are_not_planned_are_refused():
    with pytest.raises(ValueError, match="task"):
        mrss_compared.run(Settings(task="digits"))
    with pytest.raises(ValueError, match="only"):
        mrss_compared.run(Settings(task="tagging", only="high, r = 3"))


def test_the_original_seed_is_none_that_is_compared():
    assert mrss_fair.TRIED not in range(1000)
    assert torch.Generator().manual_seed(mrss_fair.TRIED)
