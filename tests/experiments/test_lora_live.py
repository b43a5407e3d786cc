"""The live demonstration: a start that changes nothing, one that forgets, and the formula's error by rank."""

import pytest

from lib.experiments import lora_live
from lib.report.tables import lora as tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live():
    sizes = {"images": 16, "learning": 2, "batch": 2, "accumulate": 2, "rate": 1e-2, "rank": 2}
    options = {"dataset": "scenes", "method": "norm", "keep": 0.5, "targets": r".*_proj"}
    return lora_live.run(lora_live.Settings(shown="clip-scenes-0", **sizes, **options))


def test_rows_stand_in_order_with_their_words(live):
    assert list(live) == [
        "unreduced",
        "norm, keep 0.5",
        "LoRA before the first step",
        "original report's pseudocode before it",
        "original report's formula, rank 8",
        "norm, adapters",
        "all tokens, adapters",
    ]
    assert all(0 <= share <= 1 for share in live.values())
    assert "| norm, adapters" in tables.live(live, "Table 1. T").data


def test_adapters_start_from_the_models_own_answers_and_the_pseudocode_from_nothing(live):
    assert live["LoRA before the first step"] == live["unreduced"] > 0.8
    assert live["original report's pseudocode before it"] < 0.5


def test_errors_fall_with_the_rank_and_end_at_none():
    rows = lora_live.factors()
    assert len(rows) == 4 * len(lora_live.RANKS)
    for _, group in rows.groupby("model"):
        assert group["error"].is_monotonic_decreasing
        assert group["error"].iloc[-1] == pytest.approx(0, abs=1e-5)


def test_the_formula_of_full_rank_answers_as_the_model(live):
    rows = lora_live.answers(16, seed=42)
    assert rows["accuracy"].iloc[-1] == live["unreduced"]
