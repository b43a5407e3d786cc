"""Texts on trained kernels and on fewer states: every head is turned, none denies its sentence."""

import pytest
from distill_records import banks, kept_by_default, lost_by_default, states
from rehearsal import alone

from lib.experiments import distill_compared as compared
from lib.experiments import distill_states
from lib.report import prose
from lib.report.chapters import distill_compared as of_banks
from lib.report.chapters import distill_states as of_states
from lib.report.frames import Missing

pytestmark = pytest.mark.slow


def text_of_banks(folder, lost=lost_by_default, other=None, **more):
    made = [banks(task, (other or lost) if task == "plaid" else lost, **more) for task in compared.TASKS]
    numbers = of_banks.numbers(alone(folder, *made))
    return numbers, prose.render("kernel_distillation/compared", numbers).data


def text_of_states(folder, lost=kept_by_default, **more):
    numbers = of_states.numbers(alone(folder, *(states(task, lost, **more) for task in distill_states.TASKS)))
    return numbers, prose.render("kernel_distillation/states", numbers).data


def all_lose(variant, order, healed):
    return 0.05 if order < 8 else 0.0


def everything_loses(variant, order, healed):
    return 0.05


def test_few_states_are_enough_everywhere(tmp_path):
    numbers, text = text_of_banks(tmp_path)
    assert (numbers.share, numbers.whole, len(numbers.cases), numbers.seeds) == (32, 64, 6, 3)
    assert numbers.kept == numbers.cases
    assert "**One state in 32 is enough on every task.** With at most 2 of 64 states" in text
    assert "0.50× the original's time with few states" in text


def test_few_states_are_enough_somewhere(tmp_path):
    numbers, text = text_of_banks(tmp_path, other=all_lose)
    assert {case.task for case in numbers.kept} == {"CIFAR-10, 2 x 2 patches"}
    assert "**One state in 32 is enough for some.**" in text


def test_few_states_are_not_enough(tmp_path):
    numbers, text = text_of_banks(tmp_path, all_lose)
    assert numbers.kept == []
    assert {case.order for case in numbers.curve} == {8}
    assert "**One state in 32 is not enough here.**" in text
    assert "The fewest states that lose nothing beyond the interval:\n\n- S4D-Lin" in text
    _, text = text_of_banks(tmp_path, everything_loses)
    assert "At no number of states that was tried is nothing lost" in text


@pytest.mark.parametrize(
    ("reduced", "small", "head"),
    [
        (lambda order: 0.0, lambda order: 0.05, "**Training the large model pays at some orders.**"),
        (lambda order: 0.0, lambda order: 0.05 if order == 2 else -0.05, "pays at some orders, and costs at others.**"),
        (lambda order: 0.05, lambda order: 0.0, "**A tuned small model is better at some orders.**"),
        (lambda order: 0.0, lambda order: 0.0, "**Reduced and small from the start are not separated.**"),
    ],
)  # fmt: skip
def test_reductions_are_ahead_of_tuned_small_models_or_behind(tmp_path, reduced, small, head):
    def lost(variant, order, healed):
        return small(order) if variant == "scratch" else reduced(order)

    numbers, text = text_of_banks(tmp_path, lost)
    assert head in text
    assert numbers.against == 2 * (2 + 2 + 1) * 2  # orders of two methods, of which S5 has one; tasks


def recall_task(kept, small):
    def lost(variant, order, healed):
        if variant == distill_states.SCRATCH:
            return small
        return kept if healed and variant in distill_states.LABELS and variant != "continued" else 0.0

    return lost


def test_states_are_kept_that_could_not_be_trained(tmp_path):
    numbers, text = text_of_states(tmp_path)
    assert (numbers.whole, numbers.keep, len(numbers.met)) == (16, 4, 2)
    assert "**4 of 16 states can be kept where they could not be trained.**" in text
    assert "Train small" not in text


def test_small_models_that_do_not_fail_are_advised(tmp_path):
    numbers, text = text_of_states(tmp_path, recall_task(0.0, 0.01))
    assert (numbers.met, len(numbers.small)) == ([], 2)
    assert "**Train small.** A model with 4 states from the start does not fail" in text


def test_a_quarter_may_not_be_enough(tmp_path):
    numbers, text = text_of_states(tmp_path, recall_task(0.05, 0.2))
    assert (numbers.met, numbers.partly, numbers.small) == ([], [], [])
    assert "**A quarter of the states is not enough where recall needs them.**" in text
    assert "train small there" not in text


def test_a_mean_alone_does_not_settle_it(tmp_path):
    numbers, text = text_of_states(tmp_path, recall_task(0.0099, 0.2))
    assert len(numbers.partly) == 2
    assert "can be kept on average, where they could not be trained.** The intervals do not settle it." in text


def test_one_criterion_may_be_best_before_fine_tuning_and_none_after(tmp_path):
    numbers, text = text_of_states(tmp_path)
    assert numbers.best == ["refitted"]
    assert "**Before fine-tuning, refitted is best on every task.**" in text
    assert "After fine-tuning they are not separated on any task." in text


def test_criteria_may_differ_by_task_and_after_fine_tuning(tmp_path):
    def turned(variant, order, healed):
        lost = kept_by_default(variant, order, False)
        return 0.2 - lost if variant in distill_states.LABELS and variant not in ("scratch", "continued") else lost

    made = [states(task, turned if task == "mqar" else kept_by_default) for task in distill_states.TASKS]
    numbers = of_states.numbers(alone(tmp_path, *made))
    text = prose.render("kernel_distillation/states", numbers).data
    assert numbers.best == ["random", "refitted"]
    assert "**Before fine-tuning, no criterion is best on every task.**" in text
    assert "random on MQAR (all others behind)" in text
    assert numbers.differ == ["MQAR"]
    assert "After fine-tuning criteria still differ on MQAR." in text


def test_of_one_task_its_name_stands_in_the_head(tmp_path):
    numbers = of_states.numbers(alone(tmp_path, states("mqar")))
    text = prose.render("kernel_distillation/states", numbers).data
    assert "**Before fine-tuning, refitted is best on MQAR.**" in text


def test_time_falls_with_the_state_or_not(tmp_path):
    _, text = text_of_states(tmp_path / "slow", least=0.5)
    assert "**What shrinks is the state, more than the time.**" in text
    assert "where its instructions alone would take 0.40×" in text
    numbers, text = text_of_states(tmp_path / "fast", least=0.0, device="cuda")
    assert numbers.floor is None
    assert "**Time falls with the state.** With" in text
    assert "instructions" not in text


def test_tasks_without_a_record_are_named(tmp_path):
    numbers = of_banks.numbers(alone(tmp_path / "banks", banks("cifar")))
    assert numbers.lacking == ["PLAID, its own split"]
    assert "; not recorded here: PLAID, its own split." in prose.render("kernel_distillation/compared", numbers).data
    numbers = of_states.numbers(alone(tmp_path / "states", states("mqar")))
    assert len(numbers.lacking) == len(distill_states.TASKS) - 1
    assert len(numbers.recalls) == 1
    with pytest.raises(Missing, match="there is no record of distill_states_"):
        _ = alone(tmp_path / "none", banks("cifar")).state_tasks


@pytest.mark.parametrize(
    ("kept", "small", "words"),
    [
        (0.0, 0.2, "4 of 16 states can be kept where"),
        (0.0, 0.0, "does not fail on recall"),
        (0.1, 0.2, "does not clear the bar on recall"),
    ],
)
def test_the_abstract_follows_the_record(tmp_path, kept, small, words):
    numbers = of_states.numbers(alone(tmp_path, states("mqar", recall_task(kept, small))))
    text = prose.render("kernel_distillation/states_abstract", numbers).data
    assert words in text
    assert all(line.startswith(">") for line in text.splitlines() if line)
