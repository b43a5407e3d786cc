"""Token mixing at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import pytest
import yaml

mpl.use("agg")
from matplotlib.figure import Figure
from rehearsal import evidence

from lib.experiments import base, ssm_scaling
from lib.experiments.sizes import ATTENDED
from lib.experiments.ssm_scaling import CLOSED, GATE, LENGTHS, OPEN, STATES, WIDTHS, Settings
from lib.paths import PRESETS
from lib.profilers.profile import Profile
from lib.records import RecordError
from lib.report import prose
from lib.report.chapters import ssm as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.figures import ssm as figures
from lib.report.tables import ssm as tables

TOYS = {"superposition": {"fixed": 1e-16, "selective": 0.25}}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return ssm_scaling.run(Settings.of(yaml.safe_load((PRESETS / "ssm_background/smoke.yml").read_text())))


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=TOYS)


def test_every_part_holds_what_it_compares(made):
    rows = ssm_scaling.frame([made])
    variants = {part: set(group["variant"]) for part, group in rows.groupby("part")}
    assert variants[LENGTHS] >= {"attention", "S4D", "scan, torch", "scan, ref"}
    lengths = rows[rows["part"] == LENGTHS].groupby("variant")["length"].max()
    assert (lengths["attention"], lengths["S4D"]) == (256, 16 * 256)
    assert variants[GATE] == {OPEN, CLOSED}
    assert variants[WIDTHS] == {"scan", "block"}
    assert variants[STATES] == {"scan"}
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes", "flops"]].gt(0).all(axis=None)


def test_on_long_sequences_the_scan_that_serves_is_timed_without_the_others(generator):
    sizes = Settings(batch=1, length=4 * ssm_scaling.COMPARED, dim=16, state=4)
    found = {
        length: set(variants) for part, length, _, _, variants in ssm_scaling._grid(sizes, generator) if part == LENGTHS
    }
    assert {"scan, cpp", "scan, torch", "scan, ref"} < found[ssm_scaling.COMPARED]
    assert found[4 * ssm_scaling.COMPARED] == {"attention", "S4D", "scan, cpp"}
    assert found[64 * ssm_scaling.COMPARED] == {"S4D", "scan, cpp"}
    assert max(found) == 64 * ssm_scaling.COMPARED


def test_no_sequence_is_longer_than_what_attention_may_see(generator):
    sizes = Settings(batch=1, length=ATTENDED // 4, dim=16, state=4)
    assert ssm_scaling._lengths(sizes)[-3:] == [ATTENDED // 4, ATTENDED // 2, ATTENDED]
    assert ssm_scaling._lengths(Settings(batch=1, length=ATTENDED, dim=16, state=4))[-1] == ATTENDED


def test_a_record_of_short_and_long_sequences_is_read_though_not_all_mixers_are_in_each(tmp_path):
    """As on a machine where the slower scans stop after two lengths, too few for a slope."""
    found = evidence(tmp_path, *_recorded(), toys=TOYS)
    assert set(found.mixing_lengths["variant"]) == {"attention", "S4D", "scan, cpp", "scan, ref"}
    numbers = chapter.numbers(found)
    assert (numbers.longest, numbers.attention.last, numbers.scan.last) == (4096, 4096, 16 * 4096)
    assert (numbers.scan.first, numbers.s4d.first) == (4096, 4096)
    assert numbers.scan.value == pytest.approx(1)
    assert isinstance(figures.growth(found), Figure)
    beside = found.scan_against_attention  # at attention's lengths alone
    assert (beside["length"].max(), set(beside["variant"])) == (4096, {"scan, cpp"})
    assert chapter.across_machines(found)["ratio"].notna().all()


def _recorded():
    """What takes as many microseconds as there are tokens, or the square of them."""
    sizes, cases = Settings(batch=1, length=4096, dim=16, state=4), base.Cases(ssm_scaling.PARTS)
    for part, length, dim, states, variants in ssm_scaling._grid(sizes, sizes.generator()):
        at = dict(batch=1, length=length, dim=dim, states=states, input_bytes=0)
        for name in variants:
            if name != "scan, torch" or length <= 128:
                seconds = length ** (2 if name == "attention" else 1) / 1e6
                cases.add(part, name, Profile([seconds] * 3, peak_bytes=length, flops=length * dim * states), **at)
    return [base.record(ssm_scaling.NAME, cases, sizes)]


def test_the_committed_record_is_read(tmp_path):
    rows = evidence(tmp_path).frame(ssm_scaling)
    assert (len(rows), set(rows["part"])) == (53, set(ssm_scaling.PARTS))


def test_every_number_is_there_and_in_the_text(found):
    numbers = chapter.numbers(found)
    assert numbers.longest == 256
    for name in ("abstract", "discussion"):
        text = prose.render(f"ssm_background/{name}", numbers).data
        assert "nan" not in text
        assert "None" not in text


def test_every_judge_decides(found):
    verdicts = judged(found, ["A8", "A9", "A10", "A15"])
    assert {one.id for one in verdicts} == {"A8", "A9", "A10", "A15"}
    assert [one.evidence for one in verdicts if one.verdict == NOT_TESTABLE] == []
    assert {one.records for one in verdicts if one.id != "A8"} == {("ssm_scaling",)}


def test_figure_table_and_comparison_are_drawn(found, made):
    assert isinstance(figures.growth(found), Figure)
    shown = tables.latencies(ssm_scaling.frame([made]), "Table 1. This run").data
    assert all(f"| {name} " in shown for name in found.mixing_lengths["variant"])
    assert chapter.across_machines(found)["ratio"].notna().all()


@pytest.mark.parametrize("part", ssm_scaling.PARTS)
def test_a_part_of_another_name_is_found(made, part):
    cases = [
        one.model_copy(update={"parameters": one.parameters | {"part": f"{part}s"}})
        if one.parameters["part"] == part
        else one
        for one in made.cases
    ]
    with pytest.raises(RecordError, match=f"part '{part}s'"):
        ssm_scaling.frame([made.model_copy(update={"cases": cases})])


def test_a_case_without_a_declared_column_is_refused():
    with pytest.raises(ValueError, match="states, input_bytes not given"):
        base.Cases(ssm_scaling.PARTS).add(GATE, OPEN, batch=1, length=8, dim=4)


def test_recorded_operations_are_those_of_equation_six(tmp_path):
    """A record from before the counting was mended fails here: it is to be made again."""
    rows = evidence(tmp_path).frame(ssm_scaling)
    scans = rows[rows["variant"].str.startswith(("scan", "step"))]
    wanted = scans["batch"] * scans["length"] * scans["dim"] * (7 * scans["states"] + 3)
    wrong = scans[scans["flops"] != wanted]
    assert list(zip(wrong["variant"], wrong["length"], strict=True)) == []
    attention = rows[rows["variant"] == "attention"]
    assert (attention["flops"] == 4 * attention["batch"] * attention["length"] ** 2 * attention["dim"]).all()
