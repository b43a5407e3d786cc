"""The chapter's numbers are those of its records: made by hand here, so that each can be worked out."""

from dataclasses import replace

import matplotlib as mpl
import pytest

mpl.use("agg")
from lora_records import FACTORS, TOYS, costs, read, trainings
from rehearsal import REFERENCE, evidence, machines

from lib.experiments import lora_labels, lora_tokens
from lib.experiments.lora_training import FULL, USUAL
from lib.report import prose
from lib.report.chapters import lora
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.frames.lora_pairs import Gap, all_below, gap, sorted_out

pytestmark = pytest.mark.slow


@pytest.fixture
def made():
    """Two tasks, two seeds; full fine-tuning is a tenth better than the rest, but for rank 4, and later for none."""
    best = {FULL: {"accuracy": 0.7, "trainable": 1000}, "all linear, rank 4": {"accuracy": 0.65}}
    best |= {lora_labels.FULL_LONGER: {"accuracy": 0.8}, lora_labels.USUAL_LONGER: {"accuracy": 0.8}}
    best |= {"all linear, rank 32": {"last": 3.0}}
    won = {"norm, 0.5": {"accuracy": 0.3}, "class_attention, 0.5": {"reduced": 0.6, "accuracy": 0.75}}
    pairs = [(lora_labels, best), (lora_tokens, won)]
    return [trainings(one, task, **given) for one, given in pairs for task in ("scenes", "cifar10")]


@pytest.fixture
def numbers(made, tmp_path):
    return lora.numbers(evidence(tmp_path, costs(), *made, toys=TOYS), FACTORS)


def test_costs_are_ratios_to_full_fine_tuning(numbers):
    assert numbers.step_latency == pytest.approx(0.5)
    assert numbers.step_memory == pytest.approx(520 / 1040)  # peak and input
    assert (numbers.merged, numbers.apart) == pytest.approx((1.0, 1.1))
    assert numbers.timed_optimiser == pytest.approx(100)
    assert numbers.small_optimiser == pytest.approx(100)
    assert (numbers.timed, numbers.weights) == ("a model", 1000)


def test_room_on_paper_is_of_the_recorded_step(numbers):
    assert numbers.held == 2 * 1000 + 12 * 10
    assert numbers.per_image == (520 - 40) / 4 / 2
    assert numbers.images == pytest.approx((numbers.memory - numbers.held) / numbers.per_image)


def test_a_task_has_paired_differences(numbers):
    for task in numbers.tasks:
        assert task.own == pytest.approx((0.8, 0.8))
        assert (task.gap.difference, task.gap.word) == (pytest.approx(-0.1), "below")
        assert task.gap.difference_high == pytest.approx(-0.1)  # the same with both seeds
        assert task.gap_later.difference == pytest.approx(0)
        assert task.best_rank == 4
        assert task.by_rank["below"] == [1, 2, 4, 8, 16, 32]
        assert task.losses == (3.0, 1.0)
        assert next(iter(task.placed)) == USUAL
        assert lora_labels.SVD not in task.placed
        assert task.start.difference == pytest.approx(0)
        assert task.form.difference == pytest.approx(0)
        assert task.seconds == task.seconds_later == 1
        norm, chosen = (task.recovered[name] for name in ("norm, 0.5", "class_attention, 0.5"))
        assert norm.gain.difference == pytest.approx(-0.05 / 0.8)
        assert (chosen.gain.difference, chosen.gain.word) == (pytest.approx(0.2 / 0.8), task.half.word)
        assert norm.whole.difference == pytest.approx(0.7 / 0.8 - 1)
        assert "norm at 0.5" in task.harmed
    assert [task.name for task in numbers.tasks] == ["scenes", "CIFAR-10"]
    assert (numbers.rank, numbers.seeds, numbers.checkpoints) == (2, 2, 2)
    assert numbers.share == pytest.approx(0.01)
    assert (numbers.merging, numbers.choosing) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.01, 0.2, "above"), (-0.2, -0.01, "below"), (-0.1, 0.1, "undecided")]
)
def test_a_word_is_that_of_the_whole_interval(low, high, word):
    one = Gap((low + high) / 2, low, high, "how")
    assert (one.word, one.said("raised", "lowered")) == (word, {"above": "raised", "below": "lowered"}.get(word, word))
    assert sorted_out({"it": one})[word] == ["it"]
    assert all_below([one]) == (word == "below")


def test_seeds_that_share_a_checkpoint_count_as_one():
    rows = lora_labels.outcomes([trainings(lora_labels, seeds=5)])
    rows.loc[rows["variant"] == USUAL, "accuracy"] += rows["seed"].map({0: 0.0, 3: 0.2, 1: 0.1, 4: 0.1, 2: 0.4})
    found = gap(rows, (USUAL, "accuracy"), (FULL, "accuracy"))
    mean, margin = 0.2, 4.302652729911275 * 0.1732050807568877 / 3**0.5  # of three checkpoints: 0.1, 0.1 and 0.4
    assert found.difference == pytest.approx(mean)
    assert (found.difference_low, found.difference_high) == pytest.approx((mean - margin, mean + margin))
    assert found.how == "t over checkpoints"


def test_a_comparison_without_all_seeds_is_missing():
    rows = lora_labels.outcomes([trainings(lora_labels, seeds=3)])
    few = rows[(rows["variant"] != USUAL) | (rows["seed"] > 0)]
    for pair in ((USUAL, FULL), (FULL, USUAL)):
        with pytest.raises(Missing, match=f"{USUAL} was not trained with every seed"):
            gap(few, *((name, "accuracy") for name in pair))
    with pytest.raises(Missing, match="nothing was not trained"):
        gap(rows, ("nothing", "accuracy"), (FULL, "accuracy"))


def test_enough_is_retained_where_the_whole_interval_says_so(numbers):
    task = numbers.tasks[0]
    high = {name: replace(one, retained_low=0.98) for name, one in task.recovered.items() if name == "norm, 0.5"}
    assert task.enough == []
    assert replace(task, recovered=task.recovered | high).enough == ["norm at 0.5"]


def test_the_formula_needs_the_rank_of_a_small_error(numbers):
    assert (numbers.needed, numbers.full_rank) == ([8, 48], 48)


def test_minutes_are_of_all_trainings(numbers):
    count = 2 * 2 * (len(lora_labels.VARIANTS) + len(lora_tokens.VARIANTS))
    assert numbers.minutes == pytest.approx(count * 3 / 60)


def test_the_text_says_the_numbers(numbers):
    text = prose.render("lora/discussion", numbers).data
    for said in (
        "0.50× the memory",
        "−10.0 ± 0.0 points on scenes (below) and −10.0 ± 0.0 points on CIFAR-10 (below)",
        "that of rank 4 on scenes and 4 on CIFAR-10",
        "The 2 seeds share 2 checkpoints",
        "of 48 for an error of 1 %",
        "| rank | 1 | 2 | 4 | 8 | 16 | 32 |\n|:--|:--|:--|:--|:--|:--|:--|\n| scenes |" + 6 * " below |",
        "on scenes with none and on CIFAR-10 with none",
    ):
        assert said in text, said
    abstract = prose.render("lora/abstract", numbers).data
    assert "−10.0 ± 0.0 points on scenes (below)" in abstract
    assert "80 % to 80 % rightly on scenes" in abstract


def test_what_the_text_says_of_the_norm_follows_its_rule(numbers):
    last, other = (replace(numbers, tasks=[replace(numbers.tasks[0], last=said)]) for said in (True, False))
    assert "stays below both other methods on scenes." in prose.render("lora/discussion", last).data
    assert "stays below both other methods" not in prose.render("lora/discussion", other).data


def test_a_variant_that_was_not_trained_is_missing(made, tmp_path):
    cases = [one for one in made[0].cases if one.variant != USUAL]
    found = evidence(tmp_path, made[0].model_copy(update={"cases": cases}), toys=TOYS)
    with pytest.raises(Missing, match=f"no case with variant {USUAL}"):
        lora.numbers(found, FACTORS)


@pytest.mark.slow
def test_machines_are_compared_and_the_text_is_of_one(tmp_path):
    alone = read(evidence(tmp_path / "one", toys=TOYS))
    runs = machines(tmp_path / "many", count=10)
    many = Evidence(TOYS, runs=runs, machine=REFERENCE)
    assert lora.numbers(many, FACTORS) == lora.numbers(evidence(tmp_path / "one", toys=TOYS), FACTORS)
    across = lora.across_machines(many)
    assert across["machine"].nunique() == 10
    assert across.groupby("machine").size().tolist() == [5] * 10
    assert across["machine"].iloc[0] == many.title
    texts = read(many)
    assert [one for one, other in zip(texts, alone, strict=True) if one != other] == [texts[6]]  # the comparison


def test_a_machine_with_costs_alone_is_compared(tmp_path):
    runs = machines(tmp_path, full=())
    across = lora.across_machines(Evidence(TOYS, runs=runs))
    assert across["machine"].nunique() == 2
