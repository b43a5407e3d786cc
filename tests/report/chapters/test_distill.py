"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

from dataclasses import replace

import pytest
from rehearsal import REFERENCE, evidence, machines

from lib import records
from lib.experiments import distill_banks as banks
from lib.experiments import distill_cost as cost
from lib.experiments import distill_training as training
from lib.experiments.distill_models import RECORDED
from lib.names import DISTILLATIONS
from lib.profilers.profile import Profile
from lib.records import Case
from lib.report import prose
from lib.report.chapters import distill, distill_models
from lib.report.chapters.distill_kernels import Beyond, Layer, LowModel
from lib.report.evidence import Evidence
from lib.report.frames import Missing

pytestmark = pytest.mark.slow

SIZES = {"dim": 16, "states": 32, "length": 64, "longest": 2048, "order": 8}
SECONDS = {cost.FULL: 4.0, "low rank, r = 1": 6.0, "low rank, r = 4": 8.0, "recurrence, 4 states": 1.0}
SECONDS |= {"recurrence, 8 states": 2.0, "recurrence, 32 states": 5.0}
ERRORS = {banks.INITIAL: 0.5, banks.TRAINED: 0.25, banks.REAL: 1e-4, banks.REAL_TRAINED: 1e-3}
NEEDED = {banks.INITIAL: 16, banks.TRAINED: 15, banks.REAL: 4, banks.REAL_TRAINED: 3, "S5-LegS, 16 states": 12}
DENSE = 256  # full rank of the dense bank
LENGTHS = (256, 512, 1024, 2048)
MODEL = {cost.FULL: 20.0, "recurrence, 2 states": 4.0, "recurrence, 4 states": 5.0, "recurrence, 32 states": 16.0}
MODEL |= {"low rank, r = 2": 30.0, "low rank, r = 4": 40.0}


def costs(whole=32):
    """Times grow with the ring of inputs alone, by a second every 128 taps; tokens are timed with so many states."""
    cases = []
    for bank, needed in NEEDED.items():
        full = DENSE if bank.startswith("S5") else 16
        lost = {"relative_errors": {0: 0.001}}
        cases.append(Case(variant=bank, parameters={"part": cost.RANK, "order": needed, "full": full}, **lost))
    for bank, error in ERRORS.items():
        for name in DISTILLATIONS:
            word = RECORDED.get(name, name)
            for order in (2, 4):
                at = {"bank": bank, "order": order}
                one, other = {"part": cost.BANK, "stored": 1, **at}, {"part": cost.HORIZON, "taps": 512, **at}
                cases.append(Case(variant=word, parameters=one, relative_errors={0: error / order}))
                if name.startswith("balanced"):
                    off = error * (8 if name == "balanced_refit" else 1)
                    cases.append(Case(variant=word, parameters=other, relative_errors={0: off}))
    for bank, low in ((banks.TRAINED, 0.125), (banks.REAL_TRAINED, 0.75)):
        at = {"part": cost.KEPT, "bank": bank, "order": 8, "tested": 400}
        for name, share in ((cost.FULL, 0.875), ("low rank, r = 8", low)):
            cases.append(Case(variant=name, parameters=at, accuracies={0: share}))
    for length in LENGTHS:
        at = {"batch": 1, "dim": 16, "length": length, "input_bytes": 0, "held": 10}
        for name, seconds in SECONDS.items():
            result = Profile([seconds] * 3, peak_bytes=1, flops=1)
            cases.append(Case.of(name, result, part=cost.SEQUENCE, tokens=length, **at))
            if not name.startswith("low"):
                taken = length / 128 if name == cost.FULL else seconds / 2
                result = Profile([taken] * 3, peak_bytes=1, flops=1)
                name = name.replace("32 states", f"{whole} states")
                cases.append(Case.of(name, result, part=cost.TOKENS, tokens=64, **at))
    for name, seconds in MODEL.items():
        at = {"batch": 2, "length": 256, "input_bytes": 0}
        cases.append(Case.of(name, Profile([seconds] * 3, peak_bytes=int(seconds)), part=cost.MODEL, **at))
    return records.new(cost.NAME, cases, seed=0, parameters=SIZES)


def trained(task, fails=False, control=0.05):
    """Originals at 0.9 and 0.8; 0.1 is lost by a distilled model, and 0.016 / order after fine-tuning."""
    cases = []

    def add(variant, order, healed, lost, stored):
        at = {"task": task, "order": order, "healed": healed, "states": 32, "healing": 7, "steps": 9, "stored": stored}
        shares = {seed: start - lost for seed, start in enumerate((0.9, 0.8))}
        cases.append(Case(variant=variant, parameters=at, accuracies=shares, seconds=[30.0, 30.0]))

    add(training.ORIGINAL, 32, False, 0.0, 640)
    for order in (2, 4):
        for name in DISTILLATIONS:
            word = RECORDED.get(name, name)
            add(word, order, False, 0.1, 10 * order)
            gone = 0.3 if fails and (name, order) == ("modal", 2) else 0.016 / order
            add(word, order, True, gone, 40 * order if name == "truncated_svd" else 10 * order)
        add(training.CONTROL, order, False, control if order == 2 else 0.0, 10 * order)
    return records.new(training.NAME.format(task=task), cases, seed=0, parameters={})


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    made = [costs(), *(trained(task, fails=task == "plugs") for task in training.TASKS)]
    return distill.numbers(evidence(tmp_path_factory.mktemp("runs"), *made))


def test_banks_are_told_by_the_rank_they_need_and_by_their_errors(numbers):
    assert [(one.name, one.needed, one.full) for one in numbers.banks] == [(name, NEEDED[name], 16) for name in ERRORS]
    assert numbers.trained == Layer(banks.TRAINED, 15, 16, False, low_rank=0.25 / 4, fitted=0.25 / 4)
    assert (numbers.real.needed, numbers.real.low) == (3, True)
    assert [(one.name, one.needed, one.full, one.low) for one in numbers.dense] == [
        ("S5-LegS, 16 states", 12, DENSE, True)
    ]


def test_a_fit_is_judged_beyond_its_taps(numbers):
    assert numbers.beyond[1] == Beyond(banks.TRAINED, 512, own=0.25, fitted=2.0)


def test_low_ranks_of_trained_models_are_told_by_their_accuracy(numbers):
    assert numbers.low_models[1] == LowModel(banks.REAL_TRAINED, 8, 400, whole=0.875, low=0.75)


def test_sizes_are_those_of_the_record(numbers):
    assert (numbers.few, numbers.states, numbers.taps) == (4, 32, 256)  # an eighth of the states and of the taps
    assert (numbers.few_trained, numbers.states_trained, numbers.healing) == (4, 32, 7)
    assert (numbers.shortest, numbers.longest) == (256, 2048)


def test_latencies_are_relative_to_full_kernels(numbers):
    assert set(numbers.low_rank) == {1.5, 2.0}
    assert (set(numbers.short), set(numbers.wide)) == ({0.25}, {1.25})
    assert (numbers.at_taps, numbers.whole_time) == (0.25, 0.8)
    assert (numbers.ring_grows, numbers.steady) == (8.0, 1.0)


def test_a_step_is_relative_to_the_recurrence_of_all_states(numbers):
    assert (numbers.step, numbers.ring) == (0.5 / 2.5, 2.0 / 2.5)
    assert list(numbers.steps) == [0.2] * len(LENGTHS)  # the same for any kernel, where the convolution's grows


def test_without_the_recurrence_of_all_states_a_token_has_no_baseline(tmp_path):
    with pytest.raises(Missing, match="no case with variant recurrence, 32 states"):
        _ = evidence(tmp_path, costs(whole=16)).kernel_tokens


def test_a_form_has_the_time_of_its_size_and_the_accuracy_of_its_size(numbers):
    two, four = numbers.forms
    assert (two.order, two.time, two.memory, two.low_time) == (2, 0.2, 0.2, 1.5)
    assert (four.order, four.time, four.low_time) == (4, 0.25, 2.0)
    assert [one.difference for one in (two.distilled, two.scratch, two.low)] == pytest.approx([-0.008, -0.05, -0.008])
    assert four.distilled.difference == pytest.approx(-0.004)
    assert numbers.case == two  # the fewest states that lose at most a point


def test_a_form_that_was_not_timed_is_missing(tmp_path):
    made = costs()
    short = made.model_copy(update={"cases": [one for one in made.cases if one.variant != "low rank, r = 2"]})
    with pytest.raises(Missing):
        _ = evidence(tmp_path, short, *map(trained, training.TASKS)).one_model


def test_accuracies_are_against_the_originals_and_against_the_control(numbers):
    assert set(numbers.lost.round(9)) == {-0.1}
    digits = numbers.outcomes[0]
    assert (digits.task, digits.accuracy) == ("digits", pytest.approx(0.85))
    assert [gain.difference for gain in digits.gains] == pytest.approx([0.042, -0.004])
    assert digits.ahead == [2]
    assert ([one.task for one in numbers.ahead], numbers.level) == ([*training.DATA.values()], [4])


def test_fine_tuning_that_harms_is_counted_by_seed(numbers):
    assert numbers.harms == [distill_models.Harm("PLAID", "modal", 2, 2)]


def test_what_is_kept_is_within_the_interval(numbers):
    assert numbers.kept_few == []  # equal in both seeds, so that the interval has no width
    assert (numbers.stored_low, numbers.stored_few, numbers.stored_all) == (160, 40, 640)
    assert numbers.minutes == pytest.approx(3 * (1 + 2 * (2 * len(DISTILLATIONS) + 1)) * 1.0)


def texts(numbers):
    return [prose.render(f"kernel_distillation/{name}", numbers).data for name in ("abstract", "discussion")]


def test_texts_say_the_numbers(numbers):
    abstract, discussion = texts(numbers)
    assert "rank 15 of 16 for a trained layer of S4D-Lin" in abstract
    assert "digits with 2 of 32 states takes 0.20× the time and 0.20× the memory" in abstract
    assert "takes the same time and stands at −5.0 ± 0.0;" in abstract
    assert "at 2 states on at least one task, at 4 on none." in abstract
    harm = "worse than it was on:\n\n- PLAID, modal, order 2: 2 of 2 seeds."
    assert f"**Fine-tuning can fail.** It left a model more than a point {harm}" in discussion
    assert "| states | 2 | 4 |\n|:--|--:|--:|\n| digits | +4.2 ± 0.0 | −0.4 ± 0.0 |\n| PLAID |" in discussion
    assert "- on digits at 2 states;\n- on PLAID at 2 states;" in discussion
    assert "**Some depthwise banks have a low rank.**" in discussion
    assert "**Training the large model pays for the fewest states alone.**" in discussion
    assert "**A low rank is not faster.**" in discussion
    assert "**A token takes less time with few states.**" in discussion
    assert "4 states take 0.20× its time at 256 taps, and 0.20× at all lengths" in discussion
    assert "at 256 it takes 0.80× the time of the recurrence of all states" in discussion
    assert "nan" not in abstract + discussion


def test_without_harm_the_text_says_so(numbers):
    text = texts(replace(numbers, harms=[]))[1]
    assert "**Fine-tuning did no harm.**" in text
    assert "can fail" not in text


def test_a_bold_head_follows_its_numbers(numbers):
    high, low = ([replace(bank, low=is_low) for bank in numbers.banks] for is_low in (False, True))
    ahead = [replace(one, gains=one.gains[:1]) for one in numbers.ahead]
    for changed, said, unsaid in (
        ({"banks": high}, "**No depthwise bank has a low rank.**", "**Some depthwise"),
        ({"banks": low}, "**Every depthwise bank has a low rank.**", "**Some depthwise"),
        ({"low_rank": numbers.low_rank / 4}, "**A low rank is faster at some sizes.**", "**A low rank is not faster"),
        ({"short": numbers.short * 8}, "**A recurrence of few states is faster at some", "few states is faster.**"),
        ({"steps": numbers.steps * 8}, "**A token takes less time with few states at some", "few states.** Streamed"),
        ({"kept_few": list(training.DATA.values())}, "fine-tuning wins the accuracy back.**", "wins back much of"),
        ({"ahead": [], "level": [2, 4]}, "**A model that is small from the start is as good.**", "large model pays"),
        ({"ahead": ahead, "level": []}, "**Training the large model pays.**", "fewest states alone"),
        ({"ahead": ahead, "level": [1, 4]}, "**Training the large model pays at some numbers", "fewest states alone"),
    ):
        text = texts(replace(numbers, **changed))[1]
        assert said in text
        assert unsaid not in text


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(Missing, match="distillation_plugs"):
        distill.numbers(evidence(tmp_path, costs(), without=["distillation_plugs"]))


def test_machines_are_compared_at_the_sizes_of_the_reference(tmp_path):
    one = distill.across_machines(evidence(tmp_path / "one", costs()))
    assert list(one["ratio"]) == [2.0, 1.25, 0.25, 0.2, 0.25]
    assert "4 states, a token, to all 32" in set(one["what"])
    runs = machines(tmp_path / "ten", count=10)
    every = distill.across_machines(Evidence(runs=runs, machine=REFERENCE))
    assert every.groupby("machine", sort=False).size().tolist() == [5] * 10
    assert every["machine"].iloc[0] == one["machine"].iloc[0]  # the reference stands first


def test_a_machine_that_timed_other_states_has_no_token_among_them(tmp_path):
    evidence(tmp_path, costs())
    evidence(tmp_path, costs(whole=16), machine="tesla-t4")
    rows = distill.across_machines(Evidence(runs=tmp_path, machine=REFERENCE))
    assert rows.groupby("machine", sort=False).size().tolist() == [5, 4]


def test_without_records_of_it_nothing_is_compared(tmp_path):
    assert distill.across_machines(evidence(tmp_path, without=["distillation"])).empty
