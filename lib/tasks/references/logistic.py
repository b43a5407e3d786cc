"""Logistic regression: on all features of a sequence, or, for an answer at every token, on the last tokens' features.

Source: scikit-learn's, Pedregosa et al. (2011). Features are standardised; the strength of the penalty is chosen.
"""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from lib.tasks.data.sequences import IGNORE, Task
from lib.tasks.references import Judged, learned, refuse

WINDOW = 32  # tokens that an answer at a token sees: itself and those before, zeros before the first
ROWS = 20_000  # answers to learn from, at most
NUMBERS = 2**24  # of their features, at most: 5,461 images of 3,072
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # C, the inverse of the penalty
STEPS = 200  # of L-BFGS, at most
EVEN = 1e-4  # of every probability is spread over all classes: one that was not learned costs much, not everything
SEQUENCES = 500  # drawn where every token has an answer and there is no collection
AT_ONCE = 64  # sequences whose windows are laid out together


def suits(task: Task) -> bool:
    """Sequences of features: a linear map of tokens that are numbers of a vocabulary recalls nothing."""
    return task.inputs is not None


def logistic(task: Task, generator: torch.Generator) -> Judged:
    """The regression whose penalty has the lowest loss on held-back sequences; all where a task holds none back.

    It learns from at most ROWS answers, chosen at random, fewer where a row is long.
    raises   ValueError, naming it, for a task of a vocabulary
    """
    refuse(task, suits(task), "sequences of features are needed")
    rows = max(1, min(ROWS, NUMBERS // _width(task)))
    drawn = learned(task, generator, rows if task.pooling == "mean" else SEQUENCES)
    x, answers = _some(*drawn, rows, generator)
    held_back = task.valid or task.train
    found = {strength: _fitted(x, answers, strength) for strength in STRENGTHS}
    losses = {strength: _judged(task, model, held_back)[0] for strength, model in found.items()}
    best = min(losses, key=losses.__getitem__)
    loss, accuracy = _judged(task, found[best], task.test)
    return Judged(accuracy, loss, f"C = {best:g}")


def _width(task: Task) -> int:
    return task.inputs * (task.length if task.pooling == "mean" else WINDOW)


def _some(x: Tensor, answers: Tensor, rows: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features and answers at random, at most so many."""
    if answers.ndim == 1:
        chosen = torch.randperm(len(x), generator=generator)[:rows]
        return x[chosen].flatten(1).numpy(), answers[chosen].numpy()
    sequences, tokens = (answers != IGNORE).nonzero(as_tuple=True)
    chosen = torch.randperm(len(tokens), generator=generator)[:rows]
    at = sequences[chosen], tokens[chosen]
    return _before(x, *at).numpy(), answers[at].numpy()


def _before(x: Float[Tensor, "B T F"], sequences: Int[Tensor, " R"], tokens: Int[Tensor, " R"]) -> Float[Tensor, "R W"]:
    """Features of the last WINDOW tokens up to each of these."""
    padded = F.pad(x, (0, 0, WINDOW - 1, 0))
    return padded[sequences.unsqueeze(1), tokens.unsqueeze(1) + torch.arange(WINDOW)].flatten(1)


def _fitted(x: np.ndarray, answers: np.ndarray, strength: float) -> Pipeline:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=STEPS, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # held-back data judge where it has come to
        return model.fit(x, answers)


def _judged(task: Task, model: Pipeline, data: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Cross-entropy [nats] and share of right answers, averaged over all answers."""
    lost, right, answered = 0.0, 0, 0
    for x, answers in zip(data[0].split(AT_ONCE), data[1].split(AT_ONCE), strict=True):
        if answers.ndim == 1:
            features, wanted = x.flatten(1), answers
        else:
            at = (answers != IGNORE).nonzero(as_tuple=True)
            features, wanted = _before(x, *at), answers[at]
        if not len(wanted):
            continue
        shares = np.full((len(wanted), task.classes), EVEN / task.classes)
        shares[:, model.classes_] += (1 - EVEN) * model.predict_proba(features.numpy())
        lost -= float(np.log(shares[np.arange(len(wanted)), wanted]).sum())
        right += int((shares.argmax(1) == wanted.numpy()).sum())
        answered += len(wanted)
    return lost / answered, right / answered
