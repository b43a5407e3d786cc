"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

import pytest
from rehearsal import REFERENCE, evidence, machines

from lib import records
from lib.experiments import distill_cost as cost
from lib.experiments import distill_training as training
from lib.names import DISTILLATIONS
from lib.profilers.profile import Profile
from lib.records import Case
from lib.report import headlines, prose
from lib.report.chapters import distill
from lib.report.evidence import Evidence
from lib.report.frames import Missing

pytestmark = pytest.mark.slow

SIZES = {"dim": 16, "states": 32, "length": 64, "longest": 2048, "order": 8}
SECONDS = {cost.FULL: 4.0, "low rank, r = 1": 6.0, "low rank, r = 4": 8.0, "recurrence, 4 states": 1.0}
SECONDS |= {"recurrence, 8 states": 2.0, "recurrence, 32 states": 5.0}
ERRORS = {cost.INITIAL: 0.5, cost.TRAINED: 0.25, cost.REAL: 1e-4}
LENGTHS = (256, 512, 1024, 2048)


def costs():
    """Times grow with nothing but the ring of inputs, which takes as many seconds as hundreds of taps."""
    cases = []
    for number, (bank, error) in enumerate(ERRORS.items(), 1):
        lost = {"relative_errors": {0: 0.001}}
        cases.append(Case(variant=bank, parameters={"part": cost.RANK, "order": number, "full": 16}, **lost))
        for name in DISTILLATIONS:
            for order in (2, 4):
                at = {"part": cost.BANK, "bank": bank, "order": order, "stored": 1}
                cases.append(Case(variant=name, parameters=at, relative_errors={0: error / order}))
    for length in LENGTHS:
        at = {"batch": 1, "dim": 16, "length": length, "input_bytes": 0, "held": 10}
        for name, seconds in SECONDS.items():
            result = Profile([seconds] * 3, peak_bytes=1, flops=1)
            cases.append(Case.of(name, result, part=cost.SEQUENCE, tokens=length, **at))
            if not name.startswith("low"):
                taken = length / 128 if name == cost.FULL else seconds / 2
                result = Profile([taken] * 3, peak_bytes=1, flops=1)
                cases.append(Case.of(name, result, part=cost.TOKENS, tokens=64, **at))
    for name, seconds in ((cost.FULL, 10.0), ("recurrence, 8 states", 5.0), ("recurrence, 16 states", 6.0)):
        at = {"batch": 2, "length": 256, "input_bytes": 0}
        cases.append(Case.of(name, Profile([seconds] * 3, peak_bytes=1), part=cost.MODEL, **at))
    return records.new(cost.NAME, cases, seed=0, parameters=SIZES)


def trained(task, fails=False):
    """Originals at 0.9 and 0.8; 0.1 is lost by a distilled model, and 0.016 / order after fine-tuning."""
    cases = []

    def add(variant, order, healed, lost, stored):
        at = {"task": task, "order": order, "healed": healed, "states": 32, "healing": 7, "steps": 9, "stored": stored}
        shares = {seed: start - lost for seed, start in enumerate((0.9, 0.8))}
        cases.append(Case(variant=variant, parameters=at, accuracies=shares, seconds=[30.0, 30.0]))

    add(training.ORIGINAL, 32, False, 0.0, 640)
    for order in (2, 4):
        for name in DISTILLATIONS:
            add(name, order, False, 0.1, 10 * order)
            gone = 0.3 if fails and (name, order) == ("modal", 2) else 0.016 / order
            add(name, order, True, gone, 40 * order if name == "truncated_svd" else 10 * order)
        add(training.CONTROL, order, False, 0.05, 10 * order)
    return records.new(training.NAME.format(task=task), cases, seed=0, parameters={})


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    made = [costs(), *(trained(task, fails=task == "plugs") for task in training.TASKS)]
    return distill.numbers(evidence(tmp_path_factory.mktemp("runs"), *made))


def test_banks_are_told_by_the_rank_they_need_and_by_their_errors(numbers):
    assert [(one.name, one.needed, one.full) for one in numbers.banks] == [
        (name, number, 16) for number, name in enumerate(ERRORS, 1)
    ]
    assert numbers.trained == distill.Bank(cost.TRAINED, 2, 16, low_rank=0.25 / 4, balanced=0.25 / 4)


def test_sizes_are_those_of_the_record(numbers):
    assert (numbers.few, numbers.states, numbers.taps) == (4, 32, 256)  # an eighth of the states and of the taps
    assert (numbers.few_trained, numbers.fewer, numbers.states_trained, numbers.healing) == (4, 2, 32, 7)
    assert (numbers.shortest, numbers.longest) == (256, 2048)
    assert numbers.model_states == 16  # beside the order that was chosen


def test_latencies_are_relative_to_full_kernels(numbers):
    assert set(numbers.low_rank) == {1.5, 2.0}
    assert (set(numbers.short), set(numbers.wide)) == ({0.25}, {1.25})
    assert (numbers.at_taps, numbers.per_token, numbers.model) == (0.25, 4.0, 0.6)
    assert (numbers.ring_grows, numbers.steady) == (8.0, 1.0)


def test_accuracies_are_against_the_originals_and_against_the_control(numbers):
    assert set(numbers.lost.round(9)) == {-0.1}
    digits, plugs, _ = numbers.outcomes
    assert (digits.task, digits.accuracy) == ("digits", pytest.approx(0.85))
    assert [gain.difference for gain in digits.states[4]] == pytest.approx([-0.004, -0.004])
    assert [(gain.what, gain.order) for gain in digits.low] == [("truncated SVD", 4), ("truncated SVD", 2)]
    assert [gain.difference for gain in digits.gains] == pytest.approx([0.042, 0.046])
    assert [gain.difference for gain in plugs.states[2]] == pytest.approx([-0.3, -0.008])


def test_fine_tuning_that_harms_is_counted_by_seed(numbers):
    assert numbers.harms == [distill.Harm("PLAID", "modal", 2, 2)]


def test_what_is_kept_is_within_the_interval_for_few_states_and_within_a_point_for_fewer(numbers):
    assert numbers.kept_few == []  # equal in both seeds, so that the interval has no width
    assert numbers.kept_fewer == [*training.DATA.values()]
    assert (numbers.stored_low, numbers.stored_few, numbers.stored_all) == (160, 40, 640)
    assert numbers.minutes == pytest.approx(3 * (1 + 2 * 9) * 1.0)


def test_texts_say_the_numbers(numbers):
    abstract, discussion = (
        prose.render(f"kernel_distillation/{name}", numbers).data for name in ("abstract", "discussion")
    )
    assert "needs rank 2 of 16, and basis kernels take 1.50× to 2.00× the time" in abstract
    assert "nothing is lost beyond the interval over seeds on no task; with 2, at most a point" in abstract
    harm = "worse than it was on PLAID, modal, order 2: 2 of 2 seeds."
    assert f"**Fine-tuning can fail.** It left a model more than a point {harm}" in discussion
    assert "- *digits*: 2 states +4.2 ± 0.0; 4 states +4.6 ± 0.0." in discussion


def test_without_harm_the_text_says_so(tmp_path):
    made = [costs(), *map(trained, training.TASKS)]
    text = prose.render("kernel_distillation/discussion", distill.numbers(evidence(tmp_path, *made))).data
    assert "**Fine-tuning did no harm.**" in text
    assert "can fail" not in text


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(Missing, match="distillation_plugs"):
        distill.numbers(evidence(tmp_path, costs(), without=["distillation_plugs"]))


def test_machines_are_compared_at_the_sizes_of_the_reference(tmp_path):
    one = distill.across_machines(evidence(tmp_path / "one", costs()))
    assert list(one["ratio"]) == [2.0, 1.25, 0.25, 0.25, 0.6]
    runs = machines(tmp_path / "ten", count=10)
    every = distill.across_machines(Evidence(runs=runs, machine=REFERENCE))
    assert every.groupby("machine", sort=False).size().tolist() == [5] * 10
    assert every["machine"].iloc[0] == one["machine"].iloc[0]  # the reference stands first


def test_without_records_of_it_nothing_is_compared(tmp_path):
    assert distill.across_machines(evidence(tmp_path, without=["distillation"])).empty


def test_the_headline_is_of_the_same_models(tmp_path):
    found = headlines.few_states(evidence(tmp_path, costs(), *map(trained, training.TASKS)))
    assert (found.proposed.ratio, found.reached.ratio) == (2.0, 0.25)
    assert "256 taps as 4 states takes **0.25×**" in found.text
    assert "−0.4 ± 0.0 points on digits" in found.text
