"""One form's costs and accuracy stand in one row per task, of the same models."""

import mrss_book

from lib.report import prose
from lib.report.evidence import Evidence
from lib.report.tables import mrss_tasks


def test_a_row_holds_costs_and_accuracy_of_one_task_and_the_last_is_a_larger_size():
    found = Evidence()
    text = mrss_tasks.low_rate(found, mrss_book.TASKS, mrss_book.PARAMETERS, "Table 1. T").data
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in rows[:-1]] == list(mrss_book.TASKS["task"])
    known = found.low_by_task.set_index("task")
    for task, size, forward, training, memory, _, _, points, verdict in rows[:-1]:
        row = known.loc[task]
        assert size == "64 × 2"
        assert (forward, training, memory) == tuple(f"{row[name]:.2f}" for name in ("forward", "training", "memory"))
        assert (points, verdict) == (prose.points(row), row["verdict"])
    assert rows[-1][0].startswith("larger, D = ")
    assert rows[-1][-2:] == ["–", mrss_tasks.NOT_TRAINED]
    assert "1,010 parameters in the blocks" in text
    assert "Clopper and Pearson (induction heads)" in text
