"""A mass on a spring as a state space model: the state is where it is, and how fast it moves."""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_number, check_shape


def spring(mass: float, damping: float, stiffness: float) -> tuple[Float[Tensor, "2 2"], Float[Tensor, " 2"]]:
    """A and B of h' = A h + B u for a driven spring, in float64: h is position [m] and velocity [m/s], u a force [N].

    mass        [kg], above zero
    damping     [N s/m], at least zero
    stiffness   [N/m], above zero
    raises      ValueError, quoting it, for a number out of range
    """
    check_number("mass", mass, above=0)
    check_number("damping", damping, least=0)
    check_number("stiffness", stiffness, above=0)
    A = torch.tensor([[0, 1], [-stiffness / mass, -damping / mass]], dtype=torch.float64)
    return A, torch.tensor([0, 1 / mass], dtype=torch.float64)


def held(A: Float[Tensor, "N N"], B: Float[Tensor, " N"], interval: float) -> tuple[Tensor, Tensor]:
    """Zero-order hold of a dense system: A_bar (N, N) and B_bar (N), exact where the input stands still in a step.

    interval   step, in units of the system's time
    raises     what torch raises where A has no inverse
    """
    A_bar = torch.linalg.matrix_exp(interval * A)
    return A_bar, torch.linalg.solve(A, (A_bar - torch.eye(len(A), dtype=A.dtype)) @ B)


def run(
    A_bar: Float[Tensor, "N N"], B_bar: Float[Tensor, " N"], u: Float[Tensor, " T"], h: Float[Tensor, " N"]
) -> Float[Tensor, "T N"]:
    """States after every input, from a first state on, by the recurrence h <- A_bar h + B_bar u.

    raises   ValueError, quoting the shape, where there is no input
    """
    check_shape("u", u, "T")
    states = []
    for now in u:
        h = A_bar @ h + B_bar * now
        states.append(h)
    return torch.stack(states)
