"""The proxy at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import mrss_book
import pytest
from rehearsal import evidence

mpl.use("agg")
from matplotlib.figure import Figure

from lib.experiments import base, mrss_proxy
from lib.experiments.mrss_proxy import BY_FACTOR, LENGTHS
from lib.records import RecordError
from lib.report.chapters import mrss as chapter
from lib.report.claims.ledger import NOT_TESTABLE

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return mrss_proxy.run(mrss_book.settings(mrss_proxy))


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=mrss_book.TOYS)


def test_every_part_holds_what_it_compares(made):
    rows = mrss_proxy.frame([made])
    by_factor, by_length = (rows[rows["part"] == part] for part in (BY_FACTOR, LENGTHS))
    assert list(by_factor["variant"]) == ["baseline", "r = 1", "r = 2", "r = 4", "r = 8"]
    assert set(by_length["variant"]) == {"baseline", "r = 8"}
    assert sorted(by_length["length"].unique()) == [32, 64, 128, 256, 512]
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes", "flops"]].gt(0).all(axis=None)


def test_operations_are_those_of_the_closed_form(made):
    rows = mrss_proxy.frame([made]).set_index("variant")
    sizes = made.parameters
    for name, factor in (("baseline", None), ("r = 4", 4)):
        shape = (sizes["batch"], sizes["length"], sizes["dim"], sizes["taps"])
        counted = rows[rows["part"] == BY_FACTOR].loc[name, "flops"]
        assert counted == mrss_proxy.proxy.flops(*shape, factor)


def test_all_that_is_made_of_it_is_made(found):
    for text in mrss_book.texts(found):
        assert "nan" not in text
        assert "None" not in text
    assert all(isinstance(one, Figure) for one in mrss_book.drawn(found).values())
    assert all(one.count("\n|") > 2 for one in mrss_book.tabled(found))


def test_every_judge_decides(found):
    verdicts = mrss_book.verdicts(found)
    assert len(verdicts) == 16
    assert [(one.id, one.on, one.evidence) for one in verdicts if one.verdict == NOT_TESTABLE] == []
    read = {one.id for one in verdicts if "mrss_proxy" in one.records}
    assert read == {"A1", "A2", "A3", "A4", "A5", "A14"}


def test_this_run_is_shown_by_its_own_name(made):
    live = chapter.live_proxy(made)
    assert len(live) == 5
    assert live["machine"].str.startswith("this run, ").all()


def test_the_committed_record_is_read(tmp_path):
    rows = evidence(tmp_path).frame(mrss_proxy)
    assert (len(rows), set(rows["part"])) == (15, set(mrss_proxy.PARTS))


@pytest.mark.parametrize("column", mrss_proxy.COLUMNS)
def test_a_column_that_is_renamed_is_missed(made, column):
    with pytest.raises(RecordError, match=f"has no {column}"):
        mrss_proxy.frame([mrss_book.renamed(made, column)])


def test_a_part_that_is_not_declared_is_not_written():
    with pytest.raises(ValueError, match="part = 'speed': one of factors, lengths is needed"):
        base.Cases(mrss_proxy.PARTS).add("speed", "baseline")
