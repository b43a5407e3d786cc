"""Models on the real scan at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import mrss_book
import pytest
from rehearsal import evidence

mpl.use("agg")
from matplotlib.figure import Figure

from lib import names
from lib.experiments import mrss_scan
from lib.experiments.mrss_scan import AS_WIDE, FORWARD, HIERARCHY, TRAINING, label
from lib.records import RecordError
from lib.report.chapters import mrss as chapter
from lib.report.claims.ledger import NOT_TESTABLE

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return mrss_scan.run(mrss_book.settings(mrss_scan, runs=1))


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=mrss_book.TOYS)


def test_every_part_holds_every_form_at_every_size(made):
    rows = mrss_scan.frame([made])
    forms = {"baseline", *names.family(), AS_WIDE, HIERARCHY}
    for part in (FORWARD, TRAINING):
        sizes = rows[rows["part"] == part].groupby(["dim", "length"])
        assert len(sizes) == 10
        assert all(set(group["form"]) == forms for _, group in sizes)
    middle = rows[(rows["length"] == 64) & (rows["dim"] == 64) & (rows["part"] == FORWARD)]
    assert set(middle.loc[middle["form"] == AS_WIDE, "factor"]) == {2, 4, 8}
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes"]].gt(0).all(axis=None)


def test_a_short_run_begins_with_the_length_at_which_all_factors_are_timed():
    wanted = [mrss_book.settings(mrss_scan, every=every) for every in (True, False)]
    every, few = ([(dim, length, list(models)) for dim, length, models in mrss_scan._grid(one)] for one in wanted)
    longest = max(length for _, length, _ in every)
    assert few == [one for one in every if one[1] >= longest // mrss_scan.MIDDLE]
    assert len(few) == 6


def test_names_of_readers_are_those_of_the_models(made):
    rows = mrss_scan.frame([made]).dropna(subset="factor")
    assert (rows["variant"] == [label(*one) for one in zip(rows["form"], rows["factor"], strict=True)]).all()
    assert {mrss_scan.DUAL, mrss_scan.LOW, mrss_scan.HYBRID, mrss_scan.DYNAMIC} == set(names.family())


def test_all_that_is_made_of_it_is_made(found):
    for text in mrss_book.texts(found):
        assert "nan" not in text
        assert "None" not in text
    assert all(isinstance(one, Figure) for one in mrss_book.drawn(found).values())
    assert all(one.count("\n|") > 2 for one in mrss_book.tabled(found))


def test_every_judge_decides(found):
    verdicts = mrss_book.verdicts(found)
    assert [(one.id, one.on, one.evidence) for one in verdicts if one.verdict == NOT_TESTABLE] == []
    read = {one.id for one in verdicts if one.on != "proxy" and "mrss_scan" in one.records}
    assert read == {"A1", "A2", "A3", "A4", "A5", "A7", "A14"}


def test_this_run_is_shown_at_its_own_size(made):
    live = chapter.live_models(made)
    assert list(live) == [FORWARD, TRAINING]
    assert all(set(rows["length"]) == {64} for rows in live.values())


def test_the_committed_record_is_read(tmp_path):
    rows = evidence(tmp_path).frame(mrss_scan)
    assert (len(rows), set(rows["part"])) == (160, set(mrss_scan.PARTS))


@pytest.mark.parametrize("column", mrss_scan.COLUMNS)
def test_a_column_that_is_renamed_is_missed(made, column):
    with pytest.raises(RecordError, match=f"has no {column}"):
        mrss_scan.frame([mrss_book.renamed(made, column)])
