"""Tables of compared distillations and of fewer states: a row per case, bold where apart, a dash for what diverged."""

import pytest
from distill_records import banks, states
from rehearsal import alone

from lib.experiments import distill_compared as compared
from lib.experiments import distill_states
from lib.report.tables import distill_compared
from lib.report.tables import distill_states as tabled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = [banks(task, diverged=("truncated_svd",) if task == "cifar" else ()) for task in compared.TASKS]
    return alone(tmp_path_factory.mktemp("runs"), *made, *(states(task) for task in distill_states.TASKS))


def cells(shown):
    lines = [line for line in shown.data.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_few_states_stand_beside_their_time(found):
    rows = cells(distill_compared.few_table(found, 2, "Table 1. Few"))
    assert len(rows) == len(compared.TASKS) * len(compared.BANKS)
    first = next(row for row in rows if row["kernels"] == "S4D-Lin")
    assert first["original [%]"] == "85.0"
    assert first["H2-optimal"].startswith("+0.0")
    assert first["small from the start"].startswith("**−5.0")
    assert first["truncated SVD"] == "–"  # it diverged
    assert (first["time, states"], first["time, low rank"]) == ("0.50×", "0.50×")
    assert next(row for row in rows if row["kernels"] == "S5")["H2-optimal"] == "–"  # which S5 has not


def test_everything_stands_in_the_full_table(found):
    rows = cells(distill_compared.every_table(found, "Table 1. All"))
    assert len(rows) == len(found.bank_quality)
    (one,) = [
        row
        for row in rows
        if (row["kernels"], row["variant"], row["order"], row["fine-tuned"]) == ("S4D-Real", "H2-optimal", "8", "no")
        and row["task"].startswith("PLAID")
    ]
    assert (one["accuracy [%]"], one["error, 2 L"], one["error, 4 L"]) == ("75.0", "0.2", "0.4")
    assert one["− original"].startswith("**−10.0")
    assert one["− small"].startswith("**−5.0")
    assert one["at 512 tokens [%]"] == "55.0"


def test_a_quarter_of_the_states_by_criterion(found):
    rows = cells(tabled.quarter_table(found, "Table 1. A quarter"))
    before, after = rows[0], rows[1]
    assert (before["variant"], before["fine-tuned"], after["fine-tuned"]) == ("refitted", "no", "yes")
    assert before["MQAR [points]"].startswith("**−2.0")
    assert after["MQAR [points]"].startswith("+0.0")
    assert before["characters [nats]"].startswith("**+0.020")
    assert rows[-1]["MQAR [points]"].startswith("**−20.0")


def test_every_number_of_states_stands_in_the_full_table(found):
    rows = cells(tabled.every_table(found, "Table 1. All"))
    assert len(rows) == len(found.state_quality)
    on = next(row for row in rows if row["variant"] == "original, trained on")
    assert (on["− trained on"], on["loss [nats]"]) == ("–", "–")  # not compared with itself


def test_costs_stand_beside_the_floor_and_the_state(found):
    rows = cells(tabled.costs_table(found, "Table 1. Costs"))
    assert [(row["D"], row["K"]) for row in rows[:4]] == [("64", "16"), ("64", "8"), ("64", "4"), ("64", "2")]
    four = rows[2]
    assert (four["scan's floor"], four["state / all"]) == ("0.40×", "0.37×")
    assert four["scan"].startswith("0.44 (")
    assert four["state"] == "28.0 B"


@pytest.mark.parametrize("task", compared.TASKS)
def test_one_task_alone_has_its_tables(tmp_path, task):
    """A record that is not there leaves out its rows, and columns that it alone has."""
    found = alone(tmp_path, banks(task))
    rows = cells(distill_compared.every_table(found, "Table 1. All"))
    assert {row["task"] for row in rows} == {compared.DATA[task]}
    assert ("at 512 tokens [%]" in rows[0]) == (task == "plaid")
    assert len(cells(distill_compared.few_table(found, 2, "Table 1. Few"))) == len(compared.BANKS)
