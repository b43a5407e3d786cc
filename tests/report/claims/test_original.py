"""What the original report says of itself, held against its own tables."""

import pandas as pd
import pytest

from lib.report import reproducibility
from lib.report.claims import original as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED
from lib.report.frames import original


@pytest.mark.parametrize(("off", "verdict"), [(0, REPRODUCED), (1, CORRECTED), (3, CONTRADICTED)])
def test_tables_agree_where_throughput_is_batch_over_latency(off, verdict):
    mrss = pd.DataFrame({"variant": ["a", "b"], "seconds": [0.1, 0.2], "throughput": [80.0, 40.0]})
    vtp = pd.DataFrame({"variant": ["c", "d"], "keep": [1.0, 0.5], "seconds": [0.1, 0.05], "throughput": [80.0, 160.0]})
    both = [mrss, vtp]
    for number in range(off):
        both[number % 2].loc[number // 2, "throughput"] *= 1.05
    found = judges.tables_agree(*both)
    assert found.verdict == verdict
    assert f"in {4 - off} of 4 rows" in found.evidence


def test_the_original_tables_are_read_with_their_throughput():
    found = judges.tables_agree(original.mrss(), original.clip())
    assert "of 9 rows" in found.evidence


@pytest.mark.parametrize(
    ("there", "verdict"), [((False, False), NOT_TESTABLE), ((True, False), CORRECTED), ((True, True), REPRODUCED)]
)
def test_of_files_that_are_not_here_nothing_is_decided(there, verdict):
    checklist = pd.DataFrame({"item": ["x", "y"], "holds": [True, False]})
    found = judges.can_be_repeated(checklist, dict(zip("ab", there, strict=True)))
    assert found.verdict == verdict
    assert "1 of 2 items hold" in found.evidence


def test_a_table_with_a_gap_is_refused():
    mrss = pd.DataFrame({"variant": ["a"], "seconds": [0.1]})
    vtp = pd.DataFrame({"variant": ["c"], "keep": [1.0], "seconds": [0.1], "throughput": [80.0]})
    with pytest.raises(ValueError, match="lacks its latency or its throughput"):
        judges.tables_agree(mrss, vtp)


def test_this_books_checklist_holds_but_for_a_machine_that_we_lack():
    found = reproducibility.checklist()
    assert set(found.loc[~found["holds"], "item"]) <= {"It runs on Colab's T4"}


def test_the_original_files_are_looked_for(tmp_path):
    (tmp_path / reproducibility.FILES[0]).touch()
    assert list(reproducibility.named_files(tmp_path).values()) == [True, False, False, False, False]


def test_a_package_that_is_not_pinned_is_noticed(tmp_path):
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text((reproducibility.ROOT / name).read_text())
    (tmp_path / "constraints.txt").write_text("torch==1\n")
    found = reproducibility.checklist(tmp_path).set_index("item")
    assert not found.loc["Dependencies are listed, and pinned", "holds"]
