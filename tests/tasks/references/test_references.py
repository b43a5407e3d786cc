"""References of sequence tasks, each against an oracle of its own: closed forms, brute force, scikit-learn."""

import math

import numpy as np
import pytest
import torch
from dummies import dummy
from sklearn.neighbors import KNeighborsClassifier

from lib import names
from lib.tasks import references
from lib.tasks.data.sequences import BENCHMARKS, IGNORE, TASKS, Task, endless, of_parts
from lib.tasks.references import REFERENCES, Judged, cnn, logistic, suited
from lib.tasks.references.majority import majority
from lib.tasks.references.nearest_neighbour import BLOCK, nearest_neighbour

GUESS = """
from lib.tasks.references import Judged

def suits(task):
    return True

def dummy(task, generator):
    return Judged(0.5)
"""


def separable(generator, pooling="mean", count=120, length=6):
    """The sign of the third token's first feature is the class of the sequence; or each is that of the second next.

    No feature is nearer to zero than one, so that there is a margin.
    """

    def part():
        x = torch.randn(count, length, 2, generator=generator)
        x = x + x.sign()
        signs = (x[..., 0] > 0).long()
        if pooling == "mean":
            return x, signs[:, 2]
        answers = torch.full((count, length), IGNORE)
        answers[:, 2:] = signs[:, :-2]
        return x, answers

    parts = {name: part() for name in ("train", "valid", "test")}
    return of_parts("separable", "smooth", **parts, classes=2, pooling=pooling)


@pytest.fixture(params=["mean", "none"])
def task(request, generator):
    return separable(generator, request.param)


def test_every_task_has_references_that_suit_it(generator):
    assert suited(TASKS["digits"](generator)) == ["majority", "nearest_neighbour", "logistic", "cnn"]
    assert suited(TASKS["clocks"](generator)) == ["majority", "logistic", "cnn"]
    assert suited(TASKS["induction"](generator)) == ["majority", "cnn"]
    assert suited(BENCHMARKS["characters"](generator, windows=1)) == ["majority", "ngram", "cnn"]


def test_a_reference_that_is_added_is_found(tmp_path, generator):
    with dummy("REFERENCES", references, tmp_path, GUESS):
        assert suited(TASKS["induction"](generator))[-1] == "dummy"
        assert REFERENCES["dummy"](None, generator) == Judged(0.5)


def test_a_reference_that_does_not_say_what_suits_it_fails_by_name(tmp_path, generator):
    with (
        dummy("REFERENCES", references, tmp_path, GUESS.replace("suits", "likes")),
        pytest.raises(ImportError, match=r"names\.REFERENCES: 'dummy' is incomplete: .* has no suits"),
    ):
        suited(TASKS["induction"](generator))


@pytest.mark.parametrize("name", names.REFERENCES)
def test_a_reference_is_judged_by_the_test_alone(name, generator):
    task = separable(generator)
    if name not in suited(task):
        return
    options = {"steps": 2, "batch": 8, "setting": (4e-3, 0.01)} if name == "cnn" else {}
    found = REFERENCES[name](task, torch.Generator().manual_seed(0), **options)
    again = REFERENCES[name](task, torch.Generator().manual_seed(0), **options)
    assert found == again
    assert 0 <= found.accuracy <= 1
    x, answers = task.test
    wrong = Task(**{**vars(task), "test": (x, 1 - answers)})
    turned = REFERENCES[name](wrong, torch.Generator().manual_seed(0), **options)
    assert turned.accuracy == pytest.approx(1 - found.accuracy)
    assert turned.chosen == found.chosen


def test_the_most_frequent_class_and_its_loss(generator):
    answers = torch.tensor([0, 1, 1, 2])
    x = torch.zeros(4, 3, 1)
    task = of_parts("toy", "smooth", train=(x, answers), valid=(x, answers), test=(x, answers), classes=3)
    found = majority(task, generator)
    assert found.accuracy == 0.5
    expected = -(2 * math.log(2 / 7) + 2 * math.log(3 / 7)) / 4  # one more of each than there is
    assert found.loss == pytest.approx(expected)


def test_guessing_costs_the_logarithm_of_the_classes_where_all_are_as_likely(generator):
    def draw(size, generator):
        return torch.zeros(size, 5, 1), torch.randint(4, (size, 5), generator=generator)

    task = endless("even", "smooth", 5, 4, draw, generator, inputs=1, pooling="none")
    assert majority(task, generator).loss == pytest.approx(math.log(4), abs=0.01)


@pytest.mark.parametrize("name", ["digits", "motions"])
def test_the_nearest_neighbour_is_scikit_learns(name):
    task = TASKS[name](torch.Generator().manual_seed(1))
    (known, classes), (asked, wanted) = task.train, task.test
    oracle = KNeighborsClassifier(1).fit(known.flatten(1), classes).score(asked.flatten(1), wanted)
    assert nearest_neighbour(task, torch.Generator()).accuracy == pytest.approx(oracle)


def test_a_neighbour_is_found_in_any_block(generator):
    count = 2 * BLOCK + 7
    x, answers = torch.randn(count, 2, 1, generator=generator), torch.arange(count)
    rows = torch.tensor([3, BLOCK + 1, 2 * BLOCK + 5])
    parts = {"train": (x, answers), "valid": (x, answers), "test": (x[rows] + 1e-4, answers[rows])}
    task = of_parts("toy", "smooth", **parts, classes=count)
    assert nearest_neighbour(task, generator).accuracy == 1


def test_where_a_collection_is_not_shown_neighbours_are_drawn(generator):
    task = separable(generator)
    hidden = Task(**{**vars(task), "train": None})
    few, many = (nearest_neighbour(hidden, torch.Generator().manual_seed(0), drawn=n) for n in (BLOCK, 9 * BLOCK))
    assert many == nearest_neighbour(task, generator)  # every sequence is among so many draws
    assert few.accuracy == pytest.approx(many.accuracy, abs=0.1)


def test_a_task_without_a_collection_has_no_neighbours(generator):
    with pytest.raises(ValueError, match="induction: every batch is new"):
        nearest_neighbour(TASKS["induction"](generator), generator)
    with pytest.raises(ValueError, match="separable: sequences of features with one answer each"):
        nearest_neighbour(separable(generator, "none"), generator)


def test_regression_separates_what_is_separable(task, generator):
    found = logistic.logistic(task, generator)
    assert found.accuracy == 1
    assert found.loss < 0.1
    assert found.chosen in {f"C = {strength:g}" for strength in logistic.STRENGTHS}


def test_the_penalty_is_the_best_on_held_back_sequences(generator):
    task = separable(generator)
    flipped = Task(**{**vars(task), "valid": (task.valid[0], 1 - task.valid[1])})
    assert logistic.logistic(flipped, generator).chosen == f"C = {min(logistic.STRENGTHS):g}"


def test_a_class_that_was_not_learned_costs_much_and_not_everything(generator):
    x = torch.randn(40, 2, 1, generator=generator)
    known, unknown = (x[:, 0, 0] > 0).long(), torch.full((40,), 2)
    task = of_parts("toy", "smooth", train=(x, known), valid=(x, known), test=(x, unknown), classes=3)
    assert logistic.logistic(task, generator).loss == pytest.approx(math.log(3 / logistic.EVEN))


def test_a_window_holds_the_last_tokens_and_zeros_before_the_first(monkeypatch):
    monkeypatch.setattr(logistic, "WINDOW", 3)
    x = torch.arange(1.0, 9).view(1, 4, 2)
    found = logistic._before(x, torch.tensor([0, 0]), torch.tensor([0, 3]))
    assert found.tolist() == [[0, 0, 0, 0, 1, 2], [3, 4, 5, 6, 7, 8]]


def test_regression_of_a_vocabulary_is_refused(generator):
    with pytest.raises(ValueError, match="copying: sequences of features are needed"):
        logistic.logistic(TASKS["copying"](generator), generator)


def test_the_network_learns_what_is_learnable(task):
    found = cnn.cnn(task, torch.Generator().manual_seed(0), steps=60, batch=16, setting=(8e-3, 0.01))
    assert found.accuracy > 0.7  # chance is a half, and its deviation a twentieth
    assert found.chosen == "rate 0.008, decay 0.01"


def test_every_rate_is_tried_and_the_best_at_every_decay():
    asked = []

    def trial(settings):
        asked.append(settings)
        return {(rate, decay): abs(rate - 4e-3) + decay for rate, decay in settings}

    assert cnn.chosen(cnn.screened(trial)) == (4e-3, cnn.DECAYS[0])
    assert asked == [[(rate, cnn.DECAYS[0]) for rate in cnn.RATES], [(4e-3, cnn.DECAYS[1])]]


def test_without_a_setting_it_is_chosen_by_trials(generator, monkeypatch):
    losses = {(rate, decay): rate + decay for rate in cnn.RATES for decay in cnn.DECAYS}
    losses[4e-3, cnn.DECAYS[0]] = losses[4e-3, cnn.DECAYS[1]] = 0
    losses[4e-3, cnn.DECAYS[1]] = -1
    monkeypatch.setattr(cnn, "tried", lambda task, *setting, steps, **_: losses[setting] + (steps != 1))
    found = cnn.cnn(separable(generator), generator, steps=4, batch=4)
    assert found.chosen == f"rate 0.004, decay {cnn.DECAYS[1]:g}"


def test_a_rate_that_diverges_is_not_chosen(generator):
    task = separable(generator)
    broken = Task(**{**vars(task), "draw": lambda size, _: (torch.full((size, 6, 2), torch.nan), task.train[1][:size])})
    assert cnn.tried(broken, 1e-3, 0.01, steps=2, batch=4) == np.inf
    with pytest.raises(ValueError, match="the small CNN: at every rate the loss was not finite"):
        cnn.chosen({(0.1, 0): np.inf, (0.2, 0): np.inf})


def test_what_is_learned_from_is_the_collection_or_drawn(generator):
    collection = separable(generator)
    assert references.learned(collection, generator, 5) is collection.train
    assert len(references.learned(TASKS["clocks"](generator), generator, 5)[0]) == 5
