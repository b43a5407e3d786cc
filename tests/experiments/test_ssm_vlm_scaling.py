"""Growing images at smoke size: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import pytest
import yaml

mpl.use("agg")
from matplotlib.figure import Figure
from rehearsal import evidence

from lib import names
from lib.experiments import base, ssm_vlm_scaling
from lib.experiments.ssm_vlm_scaling import FORWARD, TRAINED, TRAINING, TRANSFORMER, Settings
from lib.models.ssm_vlm.tower import CLOSE
from lib.paths import PRESETS
from lib.profilers.profile import Profile
from lib.records import RecordError
from lib.report import prose
from lib.report.chapters import ssm_vlm as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import CORRECTED, NOT_TESTABLE
from lib.report.figures import ssm_vlm as figures
from lib.report.figures.keys import growing
from lib.report.tables import ssm_vlm as tables

pytestmark = pytest.mark.filterwarnings("ignore")
LABELS = {TRANSFORMER, *(row.label for row in names.TOWERS.values())}


def sizes(**more):
    return Settings.of({"batch": 1, "length": 16384, "dim": 96, "layers": 6, "seed": 0} | more)


def recorded(seconds, settings=None):
    """A record whose towers take what a function of their label and the number of patches says."""
    settings = settings or sizes()
    cases = base.Cases(ssm_vlm_scaling.PARTS)
    for side in ssm_vlm_scaling.sides(settings):
        for part in (FORWARD, TRAINING):
            if part == TRAINING and side**2 > TRAINED:
                continue
            for label in sorted(LABELS):
                cost = Profile([seconds(label, side**2)] * 3, peak_bytes=side**2, flops=side**2)
                at = {"patches": side**2, "batch": 1, "dim": 96, "blocks": 6, "input_bytes": 0}
                cases.add(part, label, cost, parameters={"parameters": 1000}, **at)
    return base.record(ssm_vlm_scaling.NAME, cases, settings)


def squared(label, patches):
    """A transformer whose time is quadratic; all others take four times its time at 64 patches, and grow linearly."""
    return patches**2 / 1e6 if label == TRANSFORMER else 4 * 64 * patches / 1e6


def test_the_crossing_is_where_both_take_the_same_time(tmp_path):
    found = evidence(tmp_path, recorded(squared))
    n = chapter.numbers(found)
    assert n.mamba.crossing == pytest.approx(256)
    assert (n.mamba.first, n.mamba.last) == (pytest.approx(4), pytest.approx(1 / 64))
    assert (n.attention_slope, n.mamba_slope) == (pytest.approx(2), pytest.approx(1))
    assert (n.least, n.most, n.trained) == (64, 16384, 4096)


@pytest.mark.parametrize(("factor", "crosses", "crossing"), [(1000, False, None), (0.5, True, 64), (32, True, 2048)])
def test_a_tower_that_is_never_or_always_faster_is_told_so(tmp_path, factor, crosses, crossing):
    def seconds(label, patches):
        return patches**2 / 1e6 if label == TRANSFORMER else factor * 64 * patches / 1e6

    n = chapter.numbers(evidence(tmp_path, recorded(seconds)))
    assert n.mamba.crosses is crosses
    assert n.mamba.crossing == pytest.approx(crossing)
    text = prose.render("ssm_vlm/discussion", n).data
    assert ("no crossing within these sizes" in text) is not crosses
    assert "inf" not in text


def test_every_number_is_in_the_texts(tmp_path):
    found = evidence(tmp_path, recorded(squared))
    for name in ("abstract", "discussion", "take_aways"):
        text = prose.render(f"ssm_vlm/{name}", chapter.numbers(found)).data
        assert not {"nan", "None"} & set(text.split())


def test_figures_tables_and_comparison_are_drawn(tmp_path):
    found = evidence(tmp_path, recorded(squared))
    assert isinstance(figures.growth(found), Figure)
    assert isinstance(figures.relative(found), Figure)
    assert isinstance(figures.across_machines(chapter.across_machines(found)), Figure)
    crossings = found.growing_crossings
    shown = tables.relative(found.growing_forward, crossings[crossings["part"] == FORWARD], "Table 1. Recorded").data
    assert all(f"| {label} " in shown for label in LABELS)
    assert "256 (256 – 256)" in shown
    assert growing.said(growing.rows(found)).count("4.00× to 0.02×") == len(growing.DRAWN)


def test_every_judge_decides(tmp_path):
    verdicts = {one.id: one for one in judged(evidence(tmp_path, recorded(squared)), ["A20", "B25"])}
    assert verdicts["A20"].verdict == CORRECTED
    assert NOT_TESTABLE not in {one.verdict for one in verdicts.values()}


@pytest.mark.slow
def test_every_tower_is_timed_on_every_size():
    smoke = {"seed": 0} | yaml.safe_load((PRESETS / "ssm_vlm/smoke.yml").read_text())
    rows = ssm_vlm_scaling.frame([ssm_vlm_scaling.run(Settings.of(smoke))])
    assert set(rows["patches"]) == {64, 256}
    for _, group in rows.groupby(["part", "patches"]):
        assert set(group["variant"]) == LABELS
        counts = group.set_index("variant")["parameters"]
        assert (counts / counts[TRANSFORMER] - 1).abs().max() <= CLOSE
    assert rows["error"].isna().all()
    assert rows[["seconds", "memory_bytes", "flops"]].gt(0).all(axis=None)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"dim": 40}, "dim = 40: a multiple of 32"), ({"length": 63}, "length = 63"), ({"length": 2**19}, "length")],
)
def test_sizes_that_cannot_be_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        ssm_vlm_scaling.run(sizes(**given))


def test_a_part_of_another_name_is_found():
    made = recorded(squared)
    one = made.cases[0]
    other = one.model_copy(update={"parameters": one.parameters | {"part": "backward"}})
    with pytest.raises(RecordError, match="part 'backward'"):
        ssm_vlm_scaling.frame([made.model_copy(update={"cases": [other]})])
