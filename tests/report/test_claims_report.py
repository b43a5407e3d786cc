"""What the seed report says of itself, held against its own tables."""

import pandas as pd
import pytest

from lib.report import claims_report, frames, pruning, reproducibility
from lib.report.claims import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED


@pytest.mark.parametrize(("off", "verdict"), [(0, REPRODUCED), (1, CORRECTED), (3, CONTRADICTED)])
def test_tables_agree_where_throughput_is_batch_over_latency(off, verdict):
    mrss = pd.DataFrame({"variant": ["a", "b"], "seconds": [0.1, 0.2], "throughput": [80.0, 40.0]})
    vtp = pd.DataFrame({"variant": ["c", "d"], "keep": [1.0, 0.5], "seconds": [0.1, 0.05], "throughput": [80.0, 160.0]})
    both = [mrss, vtp]
    for number in range(off):
        both[number % 2].loc[number // 2, "throughput"] *= 1.05
    found = claims_report.tables_agree(*both)
    assert found.verdict == verdict
    assert f"in {4 - off} of 4 rows" in found.evidence


def test_the_seeds_tables_are_read_with_their_throughput():
    found = claims_report.tables_agree(frames.seed_mrss(), pruning.seed_vtp())
    assert "of 9 rows" in found.evidence


def test_of_files_that_are_not_here_nothing_is_decided():
    checklist = pd.DataFrame({"item": ["x", "y"], "holds": [True, False]})
    found = claims_report.can_be_repeated(checklist)
    assert found.verdict == NOT_TESTABLE
    assert "1 of 2 items hold" in found.evidence


def test_this_books_checklist_holds():
    found = reproducibility.checklist()
    assert list(found.loc[~found["holds"], "item"]) == []


def test_a_package_that_is_not_pinned_is_noticed(tmp_path):
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text((reproducibility.ROOT / name).read_text())
    (tmp_path / "constraints.txt").write_text("torch==1\n")
    found = reproducibility.checklist(tmp_path).set_index("item")
    assert not found.loc["Dependencies are listed, and pinned", "holds"]
