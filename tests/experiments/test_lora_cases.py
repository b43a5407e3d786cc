"""Trainings of adapters become cases, and rows again, with numbers that can be worked out by hand."""

import pytest
from lora_records import costs, renamed, training, trainings
from rehearsal import COMMITTED

from lib import records
from lib.experiments import lora_cases, lora_cost, lora_labels, lora_tokens
from lib.experiments.lora_cases import BOTTLENECK, PARTS, TRAINING
from lib.experiments.lora_training import FULL, USUAL
from lib.records import RecordError
from lib.report import accuracy


@pytest.fixture
def record():
    return trainings(lora_labels, **{FULL: {"accuracy": 0.7, "trainable": 1000}})


def test_trainings_become_cases_and_come_back(record):
    assert len(record.cases) == 4 * len(lora_labels.VARIANTS)  # four accuracies each
    frame = lora_labels.outcomes([record])
    assert len(frame) == 2 * len(lora_labels.VARIANTS)
    one = frame[(frame["variant"] == USUAL) & (frame["seed"] == 1)].iloc[0]
    assert one["accuracy"] == pytest.approx(0.7)
    assert one["gained"] == pytest.approx(0.3)
    assert one["retained"] == pytest.approx(0.7 / 0.8)
    assert one["before"] == pytest.approx(0.4 / 0.8)
    assert one["regained"] == pytest.approx(0.3 / 0.8)
    assert one["kept"] == pytest.approx(0.7 / 0.8)
    assert one["share"] == pytest.approx(0.01)
    assert (one["rank"], one["keep"], one["steps"]) == (2, 1.0, 20)
    assert frame[frame["variant"] == FULL]["accuracy"].tolist() == pytest.approx([0.7, 0.8])


def test_a_row_names_the_checkpoint_that_its_plan_starts_from():
    rows = lora_labels.outcomes([trainings(lora_labels, seeds=5)])
    known = {plan.seed: plan.model for plan in lora_cases.plans("labels", {FULL: {}}, lora_cases.Settings())[FULL]}
    for row in rows.itertuples():
        assert known[row.seed] == f"clip-scenes-{row.checkpoint}"
    assert rows.groupby("checkpoint")["seed"].agg(set).to_dict() == {0: {0, 3}, 1: {1, 4}, 2: {2}}


def test_every_training_counts_its_time_once(record):
    minutes = 2 * len(lora_labels.VARIANTS) * 3 / 60
    assert accuracy.training_minutes(lora_labels.frame([record])) == pytest.approx(minutes)


def test_the_last_losses_are_means_over_seeds(record):
    rows = lora_cases.last_losses([record]).set_index("variant")
    assert rows.loc[FULL].to_dict() == {"machine": rows.iloc[0]["machine"], "task": "scenes", "loss": 1.0}


def test_a_record_names_no_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(lora_cases, "sweep", lambda plans, *_: {plan: training() for plan in plans})
    settings = lora_cases.Settings(task="cifar10", seeds=1, steps=1, source=str(tmp_path / "images"))
    found = lora_tokens.run(settings)
    assert found.parameters["source"] == "images"
    assert found.experiment == "lora_tokens_cifar10"


@pytest.mark.parametrize("name", [*PARTS[TRAINING], "part"])
def test_a_column_of_another_name_is_found(record, name):
    if name == "part":  # a record of one part needs not name it
        changed = [
            one.model_copy(update={"parameters": one.parameters | {"part": "trainings"}}) for one in record.cases
        ]
        record = record.model_copy(update={"cases": changed})
    else:
        record = renamed(record, name, f"{name}s")
    with pytest.raises(RecordError, match=f"has no {name}|part 'trainings'"):
        lora_labels.outcomes([record])


@pytest.mark.parametrize("name", [*lora_cost.COLUMNS, *lora_cost.LEARNS, "part"])
def test_a_column_of_the_costs_of_another_name_is_found(name):
    with pytest.raises(RecordError, match=name):
        lora_cost.frame([renamed(costs(), name, f"{name}s")])


@pytest.mark.parametrize("task", lora_cases.TASKS)
@pytest.mark.parametrize(("experiment", "rows"), [(lora_labels, 80), (lora_tokens, 35)])
def test_the_committed_records_are_read(experiment, rows, task):
    frame = experiment.outcomes([records.read(COMMITTED / f"{experiment.NAME.format(task=task)}.json")])
    assert len(frame) == rows
    assert list(frame["variant"].unique()) == list(experiment.VARIANTS)
    assert frame[["whole", "reduced", "accuracy", "unreduced"]].notna().all(axis=None)


def test_an_old_word_of_a_recorded_file_is_todays():
    frame = lora_labels.outcomes([records.read(COMMITTED / "lora_labels_scenes.json")])
    assert "seed's bottleneck, rank 8" not in set(frame["variant"])
    assert BOTTLENECK in set(frame["variant"])
    costs = lora_cost.frame([records.read(COMMITTED / "lora_cost.json")])
    assert "untouched" not in set(costs["variant"])
    assert (costs["variant"] == lora_cost.UNREDUCED).sum() == 2


def test_no_records_are_no_rows():
    assert lora_labels.outcomes([]).empty
