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


def test_a_task_has_means_and_differences(numbers):
    for task in numbers.tasks:
        assert task.low.mean == pytest.approx(0.65)
        assert task.full.mean == pytest.approx(0.75)
        assert task.gap.difference == pytest.approx(-0.1)
        assert task.gap.difference_high == pytest.approx(-0.1)  # the same with both seeds
        assert task.best_rank == 4
        assert (task.loss_highest, task.loss_usual) == (3.0, 1.0)
        assert task.gap_later.difference == pytest.approx(0)
        assert task.reached_later
        assert task.half["norm"].before.mean == pytest.approx(0.5)
        assert task.half["norm"].retained.mean == pytest.approx(0.35 / 0.8)
        assert task.half["class_attention"].before.mean == pytest.approx(0.75)
        assert task.enough == ["class attention"]
        assert task.less["norm"].kept.mean == pytest.approx(0.7 / 0.8)
    assert [task.name for task in numbers.tasks] == ["scenes", "CIFAR-10"]
    assert numbers.share == pytest.approx(0.01)


def test_whether_a_mean_is_reached_is_told_by_the_interval(numbers):
    at = numbers.tasks[0]
    full, low = lora.Share(0.8, 0.7, 0.9), lora.Share(0.69, 0.6, 0.78)
    assert not replace(at, low=low, full=full).reached
    assert replace(at, low=lora.Share(0.7, 0.6, 0.8), full=full).reached
    assert not replace(at, low_later=low, full_later=full).reached_later


def test_the_formula_needs_the_rank_of_a_small_error(numbers):
    assert (numbers.needed, numbers.full_rank) == ([8, 48], 48)


def test_minutes_are_of_all_trainings(numbers):
    count = 2 * 2 * (len(lora_labels.VARIANTS) + len(lora_tokens.VARIANTS))
    assert numbers.minutes == pytest.approx(count * 3 / 60)


def test_the_text_says_the_numbers(numbers):
    text = prose.render("lora/discussion", numbers).data
    assert "needs 0.50× the memory" in text
    assert "within full fine-tuning's interval, or above it, on scenes and CIFAR-10." in text
    assert "rank 4 on scenes and 4 on CIFAR-10" in text
    assert "on scenes with class attention and on CIFAR-10 with class attention" in text
    assert "of 48 for an error of 1 %" in text
    assert "−10.0 ± 0.0 points on scenes" in prose.render("lora/abstract", numbers).data


def test_what_is_reached_nowhere_is_said(numbers):
    for task in numbers.tasks:
        for one in task.half.values():
            object.__setattr__(one, "retained", lora.Share(0.5, 0.4, 0.6))
        object.__setattr__(task, "low", lora.Share(0.1, 0.0, 0.2))
        object.__setattr__(task, "full", lora.Share(0.75, 0.7, 0.8))
    text = prose.render("lora/discussion", numbers).data
    assert "or above it, on neither." in text
    assert "on scenes with none and on CIFAR-10 with none" in text


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
