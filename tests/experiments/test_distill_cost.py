"""The experiment on distilled kernels: what it writes is read by every number, figure, table and judge."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from rehearsal import COMMITTED, evidence

from lib import records
from lib.experiments import distill_banks, distill_cost, distill_models
from lib.experiments.distill_cost import Settings
from lib.experiments.distill_models import Plan
from lib.names import DISTILLATIONS
from lib.report.chapters import distill as chapter
from lib.report.chapters.distill_kernels import kernels
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.figures import distill as drawn
from lib.report.frames import Missing
from lib.report.tables import distill as tabled
from lib.report.views.distill import states_shown

pytestmark = pytest.mark.slow

SIZES = dict(dim=16, states=32, length=32, longest=512, order=4, runs=2, warmup=0)
PLAN = Plan("digits", seed=0, states=32, steps=1, width=16, layers=1)
REAL = Plan("digits", seed=0, states=16, steps=1, width=16, layers=1, init="real")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Originals of one small block in place of the committed ones, and a run at smoke size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill_models, "SWEEPS", tmp_path_factory.mktemp("sweeps"))
        for plan, name in ((PLAN, "CHECKPOINT"), (REAL, "CHECKPOINT_REAL")):
            distill_models.keep(distill_models.original(plan)[0], plan)
            patch.setattr(distill_banks, name, plan.weights)
        patch.setattr(distill_cost, "CHECKPOINT", PLAN.weights)
        yield distill_cost.run(Settings(**SIZES)), distill_cost.spectra(Settings(**SIZES))


@pytest.fixture(scope="module")
def found(small, tmp_path_factory):
    return evidence(tmp_path_factory.mktemp("runs"), small[0])


def test_every_part_and_method_is_recorded(small):
    rows = distill_cost.frame([small[0]])
    assert set(rows["part"]) == set(distill_cost.PARTS)
    assert rows["error"].isna().all()
    banked = rows[rows["part"] == distill_cost.BANK]
    assert set(banked["variant"]) == {row.label for row in DISTILLATIONS.values()}
    layers = {distill_banks.INITIAL, distill_banks.TRAINED, distill_banks.REAL, distill_banks.REAL_TRAINED}
    assert set(banked["bank"]) == layers
    ranked = rows[rows["part"] == distill_cost.RANK]
    assert set(ranked["variant"]) == layers | {"S5-LegS, 16 states", "S5-LegS, 32 states", "S5-Real, 16 states"}
    beyond = rows[rows["part"] == distill_cost.HORIZON]
    assert set(beyond["variant"]) == {"balanced truncation", "balanced truncation, refitted"}
    assert set(beyond["taps"]) == {8 * SIZES["length"]}


def test_the_model_is_timed_in_every_form_of_as_many_states_or_ranks(small):
    rows = distill_cost.frame([small[0]])
    timed = set(rows.loc[rows["part"] == distill_cost.MODEL, "variant"])
    assert timed == {
        "full kernel",
        *(f"recurrence, {states} states" for states in (2, 4, 8, 16, 32)),
        *(f"low rank, r = {rank}" for rank in (2, 4, 8, 16)),
    }


def test_trained_models_are_judged_whole_and_at_a_low_rank(small):
    rows = distill_cost.accuracies([small[0]])
    assert list(rows["bank"]) == [distill_banks.TRAINED] * 2 + [distill_banks.REAL_TRAINED] * 2
    assert list(rows["variant"]) == ["full kernel", "low rank, r = 4"] * 2
    assert rows["accuracy"].between(0, 1).all()


def test_numbers_are_made_of_it(found):
    numbers = kernels(found)
    assert (numbers["few"], numbers["states"], numbers["taps"]) == (4, 32, 256)
    assert states_shown(found.distilled_models) == 4
    assert all(0 < bank.low_rank < 1 for bank in numbers["banks"][:2])
    assert [bank.needed <= states for bank, states in zip(numbers["dense"], (16, 32, 16), strict=True)] == [True] * 3
    assert all(one.taps == 256 and one.own > 0 for one in numbers["beyond"])
    assert (numbers["step"] > 0, numbers["ring"] > 0) == (True, True)


def test_tokens_are_relative_to_the_recurrence_of_all_states(found, small):
    assert set(found.kernel_tokens.query("latency_ratio == 1")["variant"]) == {"recurrence, 32 states"}
    lines = tabled.live_speed_table(small[0], SIZES["longest"], "Table 3. Speed").data.splitlines()
    (whole,) = [line for line in lines if "recurrence, 32 states" in line]
    assert whole.split("|")[-2].strip() == "1.00 (1.00 – 1.00)"


def test_figures_and_tables_are_made_of_it(found, small):
    made = [drawn.bank_errors(found), drawn.speed(found), drawn.singular_values(small[1])]
    assert [len(figure.axes) for figure in made] == [4, 2, 2]
    assert all(ax.has_data() for figure in made for ax in figure.axes)
    plt.close("all")
    texts = [
        tabled.ranks_table(found, "Table 1. Ranks"),
        tabled.speed_table(found.kernels, found.kernel_tokens, found.kernel_taps, "Table 2. Speed"),
        tabled.live_speed_table(small[0], SIZES["longest"], "Table 3. Speed"),
    ]
    assert [len(text.data.splitlines()) - 4 for text in texts] == [7, 6, 6]
    assert not any("nan" in text.data for text in texts)


def test_judges_decide_by_it(found):
    by_it = judged(found, ["A11", "A12"], on="kernels")
    assert [(one.id, one.records) for one in by_it] == [("A11", ("distillation",)), ("A12", ("distillation",))]
    assert NOT_TESTABLE not in {one.verdict for one in by_it}


def test_without_dense_banks_ranks_are_missing(small, tmp_path):
    shallow = small[0].model_copy(update={"cases": [one for one in small[0].cases if "S5" not in one.variant]})
    with pytest.raises(Missing, match="no dense bank"):
        _ = evidence(tmp_path, shallow).ranks


def test_machines_are_compared_by_it(found):
    rows = chapter.across_machines(found)
    assert rows["what"].iloc[0] == "rank 4, 256 tokens"
    assert len(rows) == 5
    figure = drawn.machines(rows)
    assert figure.axes[0].get_xlabel() == "latency / full kernel's; a token's / all states'"
    plt.close(figure)


def test_a_run_that_is_not_recorded_keeps_the_chosen_order_alone():
    whole = Settings(**SIZES)
    assert whole.orders == [2, 4, 8, 16]
    assert Settings(**SIZES, every=False).orders == [4]


def test_the_committed_record_is_read_with_methods_by_their_labels():
    record = records.read(COMMITTED / "distillation.json")
    rows = distill_cost.frame([record])
    assert len(rows) == len(record.cases)
    lost = distill_cost.errors([record])
    labels = {row.label for row in DISTILLATIONS.values()}
    assert set(lost.loc[lost["part"] == distill_cost.BANK, "variant"]) <= labels
    case = next(one for one in record.cases if one.variant == "balanced_refit" or one.variant == "balanced_truncation")
    row = lost[lost["variant"] == "balanced truncation, refitted"].iloc[0]
    assert (row["relative_error"], row["order"]) == (case.relative_errors[record.seed], case.parameters["order"])


def test_spectra_are_numbered_from_one_and_fall(small):
    for _, group in small[1].groupby(["bank", "across"]):
        assert list(group["number"]) == list(range(1, len(group) + 1))
        assert pd.Series(group["value"]).is_monotonic_decreasing
