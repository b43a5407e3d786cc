"""What the original report says of itself and of its runs, held against its own tables, runs and commits."""

import pandas as pd
import pytest

from lib.report import reproducibility
from lib.report.claims import original as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import original

CHECKLIST = pd.DataFrame({"item": ["x", "y"], "holds": [True, False]})
SHARES = (1.0, 0.9, 0.7, 0.5)


def of(csv, second=None, third=None, printed=1.0):
    """Runs from latencies by share; the printed throughput departs from the CSV's by a factor."""
    taken = {"csv": csv, "printed": csv, "second": second or csv, "third": third or csv}
    rows = [
        {
            "run": run,
            "variant": "vtp" if number else "baseline",
            "keep": keep,
            "tokens": 1 + int(196 * keep),
            "seconds": latencies[number],
            "throughput": 8 / latencies[number] * (printed if run == "printed" else 1),
        }
        for run, latencies in taken.items()
        for number, keep in enumerate(SHARES)
    ]
    frame = pd.DataFrame(rows)
    base = frame[frame["keep"] == 1].set_index("run")
    return frame.assign(
        latency_ratio=frame["seconds"] / frame["run"].map(base["seconds"]),
        throughput_ratio=frame["throughput"] / frame["run"].map(base["throughput"]),
    )


FALLING = (1.0, 0.9, 0.7, 0.5)


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        ((True, True), (True, True), REPRODUCED),
        ((True, True), (False, False), CORRECTED),
        ((True, False), (False, False), CORRECTED),
        ((False, False), (True, False), CORRECTED),
        ((False, False), (False, False), CONTRADICTED),
    ],
)
def test_results_are_at_hand_when_all_promised_places_are_there(then, now, verdict):
    promised = pd.DataFrame({"file": ["a.csv", "b/"], "report": then, "today": now})
    found = judges.results_are_at_hand(CHECKLIST, promised)
    assert found.verdict == verdict
    assert f"{sum(then)} were there at the report's date and {sum(now)} are" in found.evidence
    assert "1 of 2 items hold" in found.evidence


def test_places_that_never_were_are_named():
    promised = pd.DataFrame({"file": ["a.csv", "b/"], "report": [True, False], "today": [False, False]})
    assert "newest commit; `b/` never was." in judges.results_are_at_hand(CHECKLIST, promised).evidence


@pytest.mark.parametrize(("off", "verdict"), [(0, REPRODUCED), (1, CORRECTED), (3, CONTRADICTED)])
def test_tables_agree_where_throughput_is_batch_over_latency(off, verdict):
    mrss = pd.DataFrame({"variant": ["a", "b"], "seconds": [0.1, 0.2], "throughput": [80.0, 40.0]})
    vtp = pd.DataFrame({"variant": ["c", "d"], "keep": [1.0, 0.5], "seconds": [0.1, 0.05], "throughput": [80.0, 160.0]})
    both = [mrss, vtp]
    for number in range(off):
        both[number % 2].loc[number // 2, "throughput"] *= 1.05
    found = judges.tables_agree(*both, of(FALLING, printed=1.042))
    assert found.verdict == verdict
    assert f"in {4 - off} of 4 rows" in found.evidence
    assert "+4.2 % (baseline), +4.2 % (keep 0.9)" in found.evidence


def test_the_original_tables_are_read_with_their_throughput():
    found = judges.tables_agree(original.mrss(), original.clip(), original.runs())
    assert "of 9 rows" in found.evidence
    assert "+3.3 % (keep 1), +4.2 % (keep 0.9), −2.1 % (keep 0.7) and −2.6 % (keep 0.5)" in found.evidence


def test_a_table_with_a_gap_is_refused():
    mrss = pd.DataFrame({"variant": ["a"], "seconds": [0.1]})
    vtp = pd.DataFrame({"variant": ["c"], "keep": [1.0], "seconds": [0.1], "throughput": [80.0]})
    with pytest.raises(ValueError, match="lacks its latency or its throughput"):
        judges.tables_agree(mrss, vtp, original.runs())


@pytest.mark.parametrize(
    ("half", "second", "verdict"),
    [
        (0.58, 0.55, REPRODUCED),  # 1.7 times the throughput to 1.4 %, and runs differ by 5 %
        (0.57, 0.58, CORRECTED),  # the latency alone
        (0.50, 0.50, CONTRADICTED),
    ],
)
def test_gains_hold_within_the_noise_of_two_runs(half, second, verdict):
    found = judges.gains_at_half(of((*FALLING[:3], half), second=(*FALLING[:3], second)))
    assert found.verdict == verdict


def test_its_gains_are_those_of_its_csv():
    found = judges.gains_at_half(original.runs())
    assert found.verdict == CORRECTED
    assert "Its CSV: latency −43.6 %, throughput +77.3 %; its text says −43.0 % and +70.0 %" in found.evidence
    assert "differ by 0.05 to 2.2 %" in found.evidence


RISING = (1.0, 1.1, 0.7, 0.5)


@pytest.mark.parametrize(
    ("each", "verdict"),
    [((FALLING,) * 3, REPRODUCED), ((FALLING, FALLING, RISING), CORRECTED), ((RISING,) * 3, CONTRADICTED)],
)
def test_latency_must_fall_in_each_of_its_runs(each, verdict):
    assert judges.latency_falls_in_its_runs(of(*each)).verdict == verdict


def test_its_third_run_does_not_fall():
    found = judges.latency_falls_in_its_runs(original.runs())
    assert found.verdict == CORRECTED
    assert "89.6 → 94.7 → 76.0 → 59.6" in found.evidence
    assert "in 2 of 3" in found.evidence


@pytest.mark.parametrize(
    ("csv", "third", "verdict"),
    [(0.5, 1 / 1.5, REPRODUCED), (1 / 1.54, 0.5, CORRECTED), (0.5, 0.5, CONTRADICTED), (0.5, 1 / 1.56, CONTRADICTED)],
)
def test_the_posters_gain_is_that_of_its_run_to_a_decimal(csv, third, verdict):
    rows = of((*FALLING[:3], csv), (*FALLING[:3], 0.5), (*FALLING[:3], third))
    assert judges.throughput_at_half(rows).verdict == verdict


def test_the_poster_took_its_gain_from_the_third_run():
    found = judges.throughput_at_half(original.runs())
    assert (found.verdict, "1.50× in its third run" in found.evidence) == (REPRODUCED, True)


@pytest.mark.parametrize(
    ("powers", "verdict"),
    [((2, 2, 2), REPRODUCED), ((1, 1, 1), CONTRADICTED), ((1, 2, 1), UNSUPPORTED), ((1.5, 1.5, 1.5), UNSUPPORTED)],
)
def test_pruning_is_quadratic_where_every_exponent_is_near_two(powers, verdict):
    wobble = (1.0, 1.01, 0.99, 1.0)
    each = [
        [(1 + int(196 * keep)) ** power * off for keep, off in zip(SHARES, wobble, strict=True)] for power in powers
    ]
    assert judges.pruning_is_quadratic(of(*each)).verdict == verdict


def test_this_books_checklist_holds_but_for_a_machine_that_we_lack():
    found = reproducibility.checklist()
    assert set(found.loc[~found["holds"], "item"]) <= {"It runs on Colab's T4"}


def test_a_package_that_is_not_pinned_is_noticed(tmp_path):
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text((reproducibility.ROOT / name).read_text())
    (tmp_path / "constraints.txt").write_text("torch==1\n")
    found = reproducibility.checklist(tmp_path).set_index("item")
    assert not found.loc["Dependencies are listed, and pinned", "holds"]
