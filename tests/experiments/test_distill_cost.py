"""The experiment on distilled kernels: what it writes is read by every number, figure, table and judge."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from rehearsal import COMMITTED, evidence

from lib import records
from lib.experiments import distill_cost, distill_models
from lib.experiments.distill_cost import Settings
from lib.experiments.distill_models import Plan
from lib.names import DISTILLATIONS
from lib.report import prose
from lib.report.chapters import distill as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.figures import distill as drawn
from lib.report.tables import distill as tabled

pytestmark = pytest.mark.slow

SIZES = dict(dim=16, states=32, length=32, longest=512, order=4, runs=2, warmup=0)
PLAN = Plan("digits", seed=0, states=32, steps=1, width=16, layers=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An original of one small block in place of the committed one, and a run at smoke size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill_models, "SWEEPS", tmp_path_factory.mktemp("sweeps"))
        distill_models.keep(distill_models.original(PLAN)[0], PLAN)
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
    assert set(banked["bank"]) == {distill_cost.INITIAL, distill_cost.TRAINED, distill_cost.REAL}


def test_numbers_and_texts_are_made_of_it(found):
    numbers = chapter.numbers(found)
    assert (numbers.few, numbers.states, numbers.taps, numbers.model_states) == (4, 32, 256, 4)
    assert all(0 < bank.low_rank < 1 for bank in numbers.banks[:2])
    for name in ("abstract", "discussion"):
        text = prose.render(f"kernel_distillation/{name}", numbers).data
        assert "nan" not in text
        assert "4 states" in text


def test_figures_and_tables_are_made_of_it(found, small):
    made = [drawn.bank_errors(found), drawn.speed(found), drawn.singular_values(small[1])]
    assert [len(figure.axes) for figure in made] == [3, 2, 2]
    assert all(ax.has_data() for figure in made for ax in figure.axes)
    plt.close("all")
    texts = [
        tabled.ranks_table(found, "Table 1. Ranks"),
        tabled.speed_table(found.kernels, found.kernel_tokens, found.kernel_taps, "Table 2. Speed"),
        tabled.live_speed_table(small[0], SIZES["longest"], "Table 3. Speed"),
        tabled.models_table(found.distilled_models, "Table 4. Models"),
    ]
    assert [len(text.data.splitlines()) - 4 for text in texts] == [3, 6, 6, 2]
    assert not any("nan" in text.data for text in texts)


def test_judges_decide_by_it(found):
    assert [(one.id, one.records) for one in judged(found, ["A11", "A12"])] == [
        ("A11", ("distillation",)),
        ("A12", ("distillation",)),
    ]
    assert NOT_TESTABLE not in {one.verdict for one in judged(found, ["A11", "A12"])}


def test_machines_are_compared_by_it(found):
    rows = chapter.across_machines(found)
    assert rows["what"].iloc[0] == "rank 4, 256 tokens"
    assert len(rows) == 5
    figure = drawn.machines(rows)
    assert figure.axes[0].get_xlabel() == "latency / full kernel's"
    plt.close(figure)


def test_the_rank_needed_is_the_first_whose_dropped_values_are_small():
    kernel = torch.diag(torch.tensor([1.0, 0.5, 1e-3], dtype=torch.float64))
    needed, error = distill_cost.rank_needed(kernel)
    assert needed == 2
    assert error == pytest.approx(1e-3 / (1 + 0.25 + 1e-6) ** 0.5)
    assert distill_cost.rank_needed(torch.eye(3).double()) == (3, 0.0)


def test_a_run_that_is_not_recorded_keeps_the_chosen_order_alone():
    whole = Settings(**SIZES)
    assert whole.orders == [2, 4, 8, 16]
    assert Settings(**SIZES, every=False).orders == [4]


def test_the_committed_record_is_read_with_methods_by_their_labels():
    record = records.read(COMMITTED / "distillation.json")
    rows = distill_cost.frame([record])
    assert len(rows) == len(record.cases)
    lost = distill_cost.errors([record])
    assert set(lost.loc[lost["part"] == distill_cost.BANK, "variant"]) == {row.label for row in DISTILLATIONS.values()}
    case = next(one for one in record.cases if one.variant == "balanced_truncation")
    row = lost[lost["variant"] == "balanced truncation"].iloc[0]
    assert (row["relative_error"], row["order"]) == (case.relative_errors[record.seed], case.parameters["order"])


def test_spectra_are_numbered_from_one_and_fall(small):
    for _, group in small[1].groupby(["bank", "across"]):
        assert list(group["number"]) == list(range(1, len(group) + 1))
        assert pd.Series(group["value"]).is_monotonic_decreasing
