"""Choose states together with how they are read: what the dropped ones said, the kept ones say as well as they can.

A kept state k is read by a combination of the rows of C: C'[t] = W C[t], so that the block's output is that of
C'[k] h[k]. With W = kept rows of the identity + V, what is lost is the part of the dropped states' output that no V
explains, by least squares over all tokens and channels. Its normal equations are moments of the data.
Symbols: `lib/__init__.py`; K states are kept.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lib.models.checks import check_count
from lib.models.distill.states.choice import Choice, plain
from lib.models.distill.states.moments import Moments

RIDGE = 1e-10  # added to the normal equations of features of size one


def refit(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Drop one state after another, each time the one whose loss costs least with C of the others refitted.

    keep     1 <= keep <= N
    raises   ValueError, quoting it, for another number
    """
    count = moments.rate.shape[1]
    check_count("keep", keep, 1, count)
    states = list(range(count))
    while len(states) > keep:
        tries = [states[:place] + states[place + 1 :] for place in range(len(states))]
        states = min(tries, key=lambda kept: refitted(moments.joint, kept)[1])
    rows, _ = refitted(moments.joint, states)
    return Choice(torch.tensor(states), rows)


def refitted(joint: Float[Tensor, "N N N N"], states: Sequence[int]) -> tuple[Float[Tensor, "K N"], float]:
    """How to read given states so that the output is nearest to that of all.

    joint    of `Moments`
    states   which are kept, ascending
    returns  W, and the mean square of what is lost, added up over channels
    """
    mixing = plain(states, len(joint)).mixing
    if len(states) == len(joint):
        return mixing, 0.0
    kept = torch.tensor(states)
    gone = torch.tensor([state for state in range(len(joint)) if state not in states])
    wanted = torch.einsum("kdnd->kn", joint[kept][:, gone][..., gone]).flatten()
    products = joint[kept][:, kept].transpose(1, 2).flatten(2).flatten(0, 1)
    lost = torch.einsum("dede->", joint[gone][:, gone][..., gone, :][..., gone])
    more = _solved(products, wanted)
    return mixing + more.view_as(mixing), (lost - wanted @ more).item()


def _solved(products: Float[Tensor, "F F"], wanted: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
    """Solve normal equations, each feature counted in its own size; what features say twice is shared among them."""
    size = products.diagonal().clamp(min=0).sqrt()
    scale = torch.where(size > 0, 1 / size, 0)
    ridge = RIDGE * torch.eye(len(scale), dtype=scale.dtype)
    factor = torch.linalg.cholesky(products * scale * scale.unsqueeze(1) + ridge)
    return scale * torch.cholesky_solve((scale * wanted).unsqueeze(1), factor)[:, 0]
