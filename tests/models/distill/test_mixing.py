"""A system of few states for all channels: balanced as Lyapunov's equations say, within its bound, it streams."""

import pytest
import scipy.linalg
import torch
from banks import normal
from mrss_mixers import sequence, streamed
from refusals import refused
from torch import Tensor
from torch.testing import assert_close

from lib.models.distill.by_modes import balanced_refit, balanced_truncation
from lib.models.distill.by_taps import truncated_svd
from lib.models.distill.mixing import MixingModes, balanced_mixing, mixing_singular_values
from lib.models.distill.replace import distill
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s5 import S5
from lib.models.ssm.s5_block import S5Block


def layer(dim=3, states=12, seed=0) -> S5:
    return S5(dim, states, 0.02, 0.2, generator=torch.Generator().manual_seed(seed)).double()


def gain(system: S5 | MixingModes, frequency: Tensor) -> Tensor:
    """Transfer matrices (F, D, D): of the real kernel, modes and their conjugates."""
    decay, enter, leave = (x.detach() for x in system.modes())
    z = torch.polar(torch.ones_like(frequency), -frequency)[:, None]

    def of(decay: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        return torch.einsum("om,fm,mi->foi", leave, 1 / (1 - decay * z), enter)

    return (of(decay, enter, leave) + of(decay.conj(), enter.conj(), leave.conj())) / 2


def test_singular_values_are_those_of_lyapunovs_equations():
    model = layer()
    decay, enter, leave = (x.detach().numpy() for x in model.modes())
    A = scipy.linalg.block_diag(*([[d.real, -d.imag], [d.imag, d.real]] for d in decay))
    B = torch.stack([torch.tensor(enter.real), torch.tensor(enter.imag)], 1).flatten(0, 1).numpy()
    C = torch.stack([torch.tensor(leave.real), -torch.tensor(leave.imag)], 2).flatten(1).numpy()
    reached = scipy.linalg.solve_discrete_lyapunov(A, B @ B.T)
    seen = scipy.linalg.solve_discrete_lyapunov(A.T, C.T @ C)
    wanted = torch.from_numpy(scipy.linalg.eigvals(reached @ seen)).real.clamp(min=0).sqrt()
    found = mixing_singular_values(model)
    assert_close(found[:8], wanted.sort(descending=True).values[:8], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 8])
def test_no_gain_of_the_error_is_above_its_bound(order):
    model = layer()
    found = balanced_mixing(model, order, length=50)
    frequency = torch.linspace(0, torch.pi, 800, dtype=torch.float64)
    worst = torch.linalg.matrix_norm(gain(model, frequency) - gain(found.module, frequency), 2).max()
    assert worst <= 2 * mixing_singular_values(model)[order:].sum() * (1 + 1e-6)
    assert worst > 0.1 * mixing_singular_values(model)[order]
    assert found.achieved.tolist() == [order] * 3


def test_all_states_are_the_layer():
    model = layer(states=6)
    found = balanced_truncation(model, 6, length=100)
    assert found.method == "balanced_truncation"
    assert found.error.max() < 1e-6
    assert_close(found.module(normal(2, 30, 3)), model(normal(2, 30, 3)), rtol=1e-5, atol=1e-6)


def test_a_reduced_layer_streams_and_learns():
    module, x = balanced_mixing(layer(), 3, length=50).module, sequence(40, 3, seed=1)
    assert_close(streamed(module, x), module(x))
    module(x).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in module.parameters())
    assert (module.modes()[0].abs() < 1).all()


def test_a_model_of_s5_is_reduced_in_both_layouts(generator):
    mixers = [S5Block(4, states=8, generator=generator) for _ in range(2)]
    model = MambaClassifier(MambaConfig(dim=4, layers=2), 3, 5, mixers=mixers, generator=generator).double()
    x = normal(2, 20, 3)
    for method, whole in (("balanced_truncation", 8), ("truncated_svd", 8)):
        student, results = distill(model, whole, method, length=20)
        assert max(result.error.max() for result in results) < 1e-6
        assert_close(student(x), model(x), rtol=1e-5, atol=1e-6)
        smaller, results = distill(model, 2, method, length=20)
        assert max(result.error.max() for result in results) > 1e-3
        assert smaller(x).isfinite().all()
    assert not [one for one in student.modules() if isinstance(one, S5)]


def test_a_rank_is_no_more_than_the_states():
    values = torch.linalg.svdvals(layer(states=4).kernel(60).flatten(1).detach())
    assert values[3] > 1e-9 * values[0] > values[4] * 1e3
    assert truncated_svd(layer(states=4), 4, length=60).error.max() < 1e-9


def test_what_cannot_be_done_is_quoted():
    with refused("order = 13: an integer from 1 to 12 is needed"):
        balanced_mixing(layer(), 13)
    with refused("layer is of type Linear: a S5 is needed", TypeError):
        balanced_mixing(torch.nn.Linear(2, 2), 1)
    with refused("kernel is of type S5: a tensor is needed", TypeError):
        balanced_refit(layer(), 2)
    with refused("|decay| = 1.0: less than 1 is needed"):
        one = torch.ones(1, dtype=torch.complex128)
        MixingModes(one, one[:, None], one[:, None], torch.zeros(1).double())
