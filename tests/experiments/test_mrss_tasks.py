"""Sizes of the sequence tasks, and of the models that are trained on them."""

import torch

from lib.experiments import mrss_runs, mrss_tasks
from lib.tasks.data.sequences import TASKS


def test_a_row_has_the_sizes_of_the_task_that_is_trained():
    rows = mrss_tasks.frame([0]).set_index("task")
    assert list(rows.index) == list(mrss_runs.LABELS.values())
    for name, label in mrss_runs.LABELS.items():
        task = TASKS[name](torch.Generator().manual_seed(0))
        found = rows.loc[label]
        assert (found["tokens"], found["kind"]) == (task.length, task.kind)
        assert (found["tested"], found["batch"]) == (len(task.test[1]), mrss_runs.plan_of(name).batch)
        assert (found["nearest"] > 0) != task.endless


def test_no_sequence_of_the_test_is_learned():
    task = TASKS["digits"](torch.Generator().manual_seed(0))
    learned, tested = ({tuple(one.flatten().tolist()) for one in x} for x, _ in (task.train, task.test))
    assert len(learned) + len(tested) == 1797
    assert not learned & tested
    drawn, _ = task.draw(64, torch.Generator().manual_seed(1))
    assert {tuple(one.flatten().tolist()) for one in drawn} <= learned


def test_variants_have_the_baselines_number_of_parameters():
    counts = mrss_tasks.parameters(8)
    assert counts["baseline"] == 130560
    assert all(abs(count / counts["baseline"] - 1) <= 0.03 for count in counts.values())
