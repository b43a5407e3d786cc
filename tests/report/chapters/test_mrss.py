"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

from dataclasses import replace

import matplotlib as mpl
import mrss_book
import pytest
from rehearsal import REFERENCE, evidence, machines

mpl.use("agg")

from lib import names, records
from lib.experiments import base, mrss_proxy, mrss_scan, mrss_training
from lib.experiments.mrss_scan import AS_WIDE, FORWARD, TRAINING, label
from lib.profilers.profile import Profile
from lib.report import prose
from lib.report.chapters import mrss
from lib.report.evidence import Evidence
from lib.report.frames import Missing

pytestmark = pytest.mark.slow

RATIOS = {"dual": 0.8, "low": 0.25, "hybrid": 0.75, "dynamic": 0.5, AS_WIDE: 1.25}  # of a forward pass
SIZES = {"r": 8, "longest": 64, "width": 16, "layers": 2}
RIGHT = {"low": {"induction": [0.5] * 3, "plugs": [0.9] * 3}}  # by form and task; all others as the baseline
AGAIN = {"induction": [0.95, 0.95, 0.1], "plugs": [0.95] * 3}  # of the low form, with equal operations


def proxy():
    """Factor 4 takes half of the baseline's time and 1.5 times its operations and memory; all else is slower."""
    cases = base.Cases(mrss_proxy.PARTS)
    costs = (("baseline", None, 1, 1), ("r = 1", 1, 3, 3), ("r = 2", 2, 2, 2), ("r = 4", 4, 0.5, 1.5))
    for name, factor, seconds, share in costs:
        at = dict(batch=1, length=8, dim=4, input_bytes=0, factor=factor)
        cases.add(mrss_proxy.BY_FACTOR, name, Profile([seconds] * 3, int(100 * share), int(200 * share)), **at)
        for length in (8, 16, 32):
            if factor in (None, 4):
                cases.add(mrss_proxy.LENGTHS, name, Profile([seconds * length] * 3, 1, 1), **at | {"length": length})
    return records.new("mrss_proxy", cases, seed=0, parameters={"batch": 1, "length": 8, "dim": 4, "taps": 3})


def scan():
    """Forms take their RATIOS; a training step 0.1 more; with narrow models the low-rate form takes twice as much."""
    cases = base.Cases(mrss_scan.PARTS)
    for dim in (4, 16):
        for length in (4, 8, 16, 32, 64):
            every = [("baseline", None, 1.0)] + [(form, 8, ratio) for form, ratio in RATIOS.items()]
            if (dim, length) == (16, 16):
                every += [(AS_WIDE, factor, 1.5) for factor in (2, 4)]
            for form, factor, ratio in every:
                ratio *= 2 if (form, dim) == ("low", 4) else 1
                at = dict(batch=1, length=length, dim=dim, input_bytes=0, form=form, factor=factor, parameters=7)
                for part, more in ((FORWARD, 0), (TRAINING, 0.0 if factor is None else 0.1)):
                    cost = Profile([length * (ratio + more)] * 3, int(1000 * ratio), int(100 * length * ratio))
                    name = form if factor is None else label(form, factor)
                    cases.add(part, name, cost, parameters=at)
    return records.new("mrss_scan", cases, seed=0, parameters=SIZES)


def training(task):
    """The baseline is right in 0.95 of all answers; a training takes a minute, a second one half as long."""
    cases = base.Cases(mrss_training.PARTS)
    at = dict(task=task, kind="recall")

    def trained(name, right, budget="steps"):
        again = budget == "operations"
        measured = dict(
            seconds=[60.0 / (2 if again else 1)] * 3,
            accuracies=dict(enumerate(right)),
            losses={seed: [2.0, 1.0] for seed in range(3)},
        )
        cases.add(mrss_training.TRAINED, name, measured=measured, budget=budget, steps=80 if again else 40, **at)

    for form in ("baseline", *names.family()):
        name = form if form == "baseline" else label(form, 8)
        for part, more in ((FORWARD, 0.0), (TRAINING, 0.2 * (form != "baseline"))):
            peak = 100 if form == "low" else 200
            cases.add(part, name, Profile([RATIOS.get(form, 1.0) + more] * 3, peak, 1), **at)
        trained(name, RIGHT.get(form, {}).get(task, [0.95] * 3))
        if form == "low" and task in AGAIN:
            trained(name, AGAIN[task], "operations")
    return records.new(f"mrss_{task}", cases, seed=0, parameters={})


@pytest.fixture
def found(tmp_path):
    return evidence(tmp_path, proxy(), scan(), *map(training, names.SEQUENCES), toys=mrss_book.TOYS)


def test_numbers_of_the_proxy_follow_from_its_record_and_the_reports_table(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    assert (n.factors, n.faster, n.largest) == (3, 1, 4)
    assert (n.proxy_latency, n.proxy_operations) == (0.5, 1.5)
    assert list(n.proxy_memory) == [3, 2, 1.5]
    assert n.original_gain == pytest.approx(45.68 / 62.61, abs=0.01)
    assert n.original_latency == pytest.approx(45.68 / 30.50)


def test_numbers_of_the_scan_follow_from_its_record(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    assert (n.factor, n.middle, n.width) == (8, 16, 16)
    assert n.dual == pytest.approx(0.8)
    assert n.large == pytest.approx((0.25, 0.35))
    assert (n.as_wide.min(), n.as_wide.max()) == pytest.approx((1.25, 1.35))
    assert (n.matched.min(), n.matched.max()) == pytest.approx((0.8, 0.9))


def test_costs_are_of_the_models_that_were_trained(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    assert list(n.forward) == pytest.approx([0.25] * 6)
    assert list(n.training) == pytest.approx([0.45] * 6)
    assert list(n.memory) == pytest.approx([0.5] * 6)
    assert (n.tokens, n.dim, n.layers) == ((64, 64), 64, 4)
    assert 0 < abs(n.parameters / 130560 - 1) < 0.03
    assert (list(n.steps), list(n.seconds)) == ([2, 2], [0.5, 0.5])


def test_numbers_of_trainings_follow_from_their_records(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    low = next(one for one in n.outcomes if one.variant == "low, r = 8")
    smooth = ["digits", "synthetic oscillators", "BasicMotions"]
    assert low.tasks == {"kept": [*smooth, "selective copying"], "undecided": ["induction heads"], "lost": ["PLAID"]}
    assert [list(one.tasks) for one in n.outcomes if one is not low] == [["kept"]] * 3
    assert [(one.variant, one.tasks) for one in n.again] == [
        ("low, r = 8", {"kept": ["PLAID"], "undecided": ["induction heads"]})
    ]
    assert n.low.tasks == {"kept": [*smooth, "PLAID", "selective copying"], "undecided": ["induction heads"]}
    assert [(one.budget, round(one.difference, 6), one.verdict) for one in n.fast] == [
        ("steps", -0.05, "lost"),
        ("operations", 0.0, "kept"),
    ]
    assert n.seeds == 3
    assert n.minutes == 5 * 3 * 6 + 3


def test_seeds_that_solve_the_hard_task_are_counted(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    assert (n.hard_low.solved, n.hard_low.of, n.hard_low.budget) == (2, 3, "operations")
    assert (n.hard_baseline.solved, n.hard_baseline.of) == (3, 3)
    assert {(one.variant, one.budget): one.solved for one in n.hard if one.solved < 3} == {
        ("low, r = 8", "steps"): 0,
        ("low, r = 8", "operations"): 2,
    }


def test_the_texts_say_the_numbers(found):
    abstract, discussion = mrss_book.texts(found)
    takes = ("takes 0.25× the baseline's time in a forward pass and 0.45× in a training step", "takes 0.50× the memory")
    seeds = ("trained from 3 seeds", "On induction heads 2 of 3 seeds")
    for said in ("1 of 3 recorded", "1.25× to 1.35×", *takes, *seeds):
        assert said in abstract, said
    costs = ("0.50×", "1.50×", "T = 16$ and $D = 16", "mixture of 16", "2.00× the baseline's steps, and took 0.50×")
    counted = ("- *low, r = 8* with equal operations: 2 of 3.", "−5.0 ± 0.0 points after equal steps (lost)")
    for said in (*costs, *counted, "took 93 minutes", "**Some proxies are faster.**"):
        assert said in discussion, said


def test_a_baseline_below_the_nearest_neighbour_has_not_converged(found):
    below, above = (
        prose.render("mrss/discussion", mrss.numbers(found, mrss_book.TASKS.assign(nearest=share))).data
        for share in (0.96, 0.5)
    )
    assert "**The baseline has not learned digits to the end.** It answers 95.0 % of the test" in below
    assert "96.0 %" in below
    assert "has not learned" not in above


def test_heads_follow_their_numbers(found):
    n = mrss.numbers(found, mrss_book.TASKS)
    assert "**Blocks at the low rate save time and memory.**" in prose.render("mrss/discussion", n).data
    slow = prose.render("mrss/discussion", replace(n, faster=0, training=n.training + 1, as_wide=n.as_wide / 2)).data
    for said in (
        "**Blocks at the low rate.**",
        "**The proxy saves nothing.**",
        "**The original form on the real scan.**",
    ):
        assert said in slow, said


def test_a_text_without_second_trainings_says_none(tmp_path, monkeypatch):
    monkeypatch.setitem(RIGHT, "low", {})
    monkeypatch.setattr(f"{__name__}.AGAIN", {})
    every = evidence(tmp_path, proxy(), scan(), *map(training, names.SEQUENCES))
    text = prose.render("mrss/discussion", mrss.numbers(every, mrss_book.TASKS)).data
    assert "equal operations" not in text.lower()
    assert "trained again" not in text
    assert "*low, r = 8* after equal steps: all 3." in text


@pytest.mark.parametrize("lacking", ["mrss_proxy", "mrss_scan", "mrss_plugs"])
def test_without_a_record_the_numbers_are_missing(tmp_path, lacking):
    with pytest.raises(Missing, match=f"no record of {lacking}"):
        mrss.numbers(evidence(tmp_path, without=[lacking]), mrss_book.TASKS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"cost_only": ()}, {"full": ()}, {"count": 10}])
def test_other_machines_change_no_sentence_and_stand_in_the_comparison(tmp_path, options):
    alone = mrss_book.texts(Evidence())
    found = Evidence(mrss_book.TOYS, runs=machines(tmp_path, **options), machine=REFERENCE)
    assert mrss_book.texts(found) == alone
    across = mrss.across_machines(found)
    assert across["machine"].nunique() == 1 + len(found.others)
    assert across["machine"].iloc[0] == "AMD EPYC, 2 cores"
    assert across.groupby("machine")["what"].nunique().eq(5).all()
    mrss_book.drawn(found)


def test_a_machine_takes_part_with_a_single_record_unless_it_is_of_other_sizes(tmp_path):
    evidence(tmp_path, machine="tesla-t4")
    (tmp_path / "tesla-t4/mrss_scan.json").unlink()
    found = mrss.across_machines(evidence(tmp_path))
    assert list(found.loc[found["machine"] == "Tesla T4", "what"]) == ["proxy, r = 2", "proxy, r = 4"]
    other = proxy().model_copy(update={"parameters": {"batch": 1, "length": 9, "dim": 4, "taps": 3}})
    evidence(tmp_path, other, machine="tesla-t4")
    (tmp_path / "tesla-t4/mrss_scan.json").unlink()
    assert set(mrss.across_machines(evidence(tmp_path))["machine"]) == {"AMD EPYC, 2 cores"}


def test_without_records_there_is_nothing_to_compare(tmp_path):
    assert mrss.across_machines(evidence(tmp_path, without=["mrss_proxy", "mrss_scan"])).empty
