"""Every reader reads the record of trained towers, whatever came out."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

mpl.use("agg")
from rehearsal import alone

from lib import names
from lib.experiments import base, ssm_vlm_training
from lib.experiments.ssm_vlm_runs import GRADUAL, KEEPS, LONGER, MERGING, WHOLE
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import FEWER, LABELS, SEEING, SIDES, STEP, TIMED, TRAINED, Settings
from lib.report import prose
from lib.report.chapters import ssm_vlm, ssm_vlm_fewer, ssm_vlm_trained
from lib.report.figures import ssm_vlm_trained as drawn
from lib.report.tables import ssm_vlm_trained as tabled
from lib.tasks.training.protocol import STEPS, TIME

ROWS = {name: row.label for name, row in names.SCAN_REDUCTIONS.items()}
WAYS = [*ROWS.values(), *(f"{ROWS[name]}{LONGER}" for name in MERGING), GRADUAL]
SEEDS = range(3)


def scores(middle):
    return {"accuracies": {seed: middle + seed / 1000 for seed in SEEDS}}


def record(task="scenes", merged=0.30, tuned=0.33, seeing=0.35):
    """A record whose segments answer so much with half of the patches, at once and after they were trained on."""
    cases = base.Cases(ssm_vlm_training.PARTS)
    for tower, seconds in ((TRANSFORMER, 1.0), (SEEING, 2.5), ("low_rate", 1.0)):
        cases.add(STEP, LABELS[tower], measured={"seconds": [seconds] * 3}, task=task, batch=128)
    for side in SIDES:
        for label, keep, seconds in ((WHOLE, 1.0, 1.0), *((one, keep, 0.8) for one in WAYS for keep in KEEPS)):
            cases.add(TIMED, label, measured={"seconds": [seconds] * 3}, task=task, patches=side**2, keep=keep)
    for tower, budget, value, steps in (
        (TRANSFORMER, STEPS, 0.30, 300),
        (SEEING, STEPS, seeing, 300),
        (SEEING, TIME, 0.20, 120),
        ("low_rate", STEPS, 0.28, 300),
    ):
        at = {"task": task, "budget": budget, "rate": 2e-3, "steps": steps}
        cases.add(TRAINED, LABELS[tower], measured=scores(value), **at)

    def fewer(method, keep, steps, value):
        cases.add(FEWER, method, measured=scores(value), task=task, keep=keep, tuned=steps)

    fewer(WHOLE, 1.0, 0, 0.34)
    fewer(WHOLE, 1.0, 50, 0.34)
    fewer(f"{ROWS['segments']}{LONGER}", 0.5, 50, tuned)
    fewer(ROWS["random"], 0.5, 50, 0.25)
    for keep in KEEPS:
        for name, label in ROWS.items():
            fewer(label, keep, 0, 0.2)
            if name in MERGING:
                fewer(f"{label}{LONGER}", keep, 0, merged)
        fewer(GRADUAL, keep, 0, merged)
    return base.record(f"ssm_vlm_training_{task}", cases, Settings(task=task))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tasks", [("scenes",), ("scenes", "cifar10")])
def test_every_reader_reads_it(tasks, tmp_path):
    found = alone(tmp_path, *map(record, tasks))
    numbers = ssm_vlm_trained.numbers(found)
    assert len(numbers.tasks) == len(tasks)
    task = numbers.tasks[0]
    fewer = ssm_vlm_fewer.numbers(found)
    less = fewer.tasks[0]
    assert (task.transformer, less.whole, less.half) == pytest.approx((0.301, 0.341, 0.301))
    assert less.ahead.difference == pytest.approx(0.1)
    assert less.tuned.difference == pytest.approx(-0.01)
    mamba = next(one for one in task.towers if one.name == LABELS[SEEING])
    assert (mamba.equal.difference, mamba.timed.difference, mamba.step) == pytest.approx((0.05, -0.1, 2.5))
    low = next(one for one in task.towers if one.name == LABELS["low_rate"])
    assert low.equal == low.timed
    texts = [prose.render("ssm_vlm/trained", numbers).data, prose.render("ssm_vlm/fewer", fewer).data]
    tables = [tabled.trained_table(found, "Table 1. T").data, tabled.ways("Table 2. W").data]
    tables.append(tabled.fewer_table(found, "Table 3. F").data)
    assert all(label in tables[0] for label in (TRANSFORMER, LABELS[SEEING], LABELS["low_rate"]))
    assert tables[2].count("segments, longer steps") == len(tasks)
    assert not [one for one in (*texts, *tables) if "nan" in one or "None" in one]
    assert all(ax.has_data() for ax in drawn.fewer(found).axes)
    plt.close("all")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"merged": 0.3}, "surely 5 points ahead"),
        ({"merged": 0.21}, "not 5 points ahead"),
        ({"tuned": 0.33}, "no more than 2 points are lost"),
        ({"tuned": 0.3}, "more than 2 points are lost"),
    ],
)
def test_the_text_says_what_came_out(given, words, tmp_path):
    found = alone(tmp_path, record(**given))
    assert words in prose.render("ssm_vlm/fewer", ssm_vlm_fewer.numbers(found)).data


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("seeing", "words"), [(0.35, "as much as"), (0.2, "less than")])
def test_a_take_away_follows_the_record(seeing, words, tmp_path):
    found = alone(tmp_path, record(seeing=seeing))
    assert words in prose.render("ssm_vlm/take_aways", ssm_vlm.numbers(found)).data


def test_without_a_record_the_text_says_so(tmp_path):
    found = alone(tmp_path)
    assert not ssm_vlm_trained.recorded(found)
    numbers = ssm_vlm_trained.numbers(found)
    assert "Not recorded yet" in prose.render("ssm_vlm/trained", numbers).data
    assert not prose.render("ssm_vlm/fewer", ssm_vlm_fewer.numbers(found)).data.strip()
    assert "trained" in prose.render("ssm_vlm/take_aways", ssm_vlm.numbers(found)).data
