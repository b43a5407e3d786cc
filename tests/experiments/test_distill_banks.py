"""Banks: dense kernels against their state space recurrence, ranks against singular values that are known."""

import pytest
import torch
from torch.testing import assert_close

from lib.experiments import distill_banks
from lib.experiments.distill_models import Plan, keep, load, original
from lib.models.ssm.s4d import S4D, hippo_legs


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("init", ["legs", "real"])
def test_a_dense_kernel_has_no_more_rank_than_its_system_has_states(init):
    kernel = distill_banks.mixing_kernel(init, 6, 4, 50, generator())
    values = torch.linalg.svdvals(kernel.flatten(1))
    assert kernel.shape == (50, 6, 6)
    assert values[3] > 1e-9 * values[0]
    assert values[4:].max() < 1e-13 * values[0]


@pytest.mark.parametrize(("init", "states"), [("legs", 5), ("lin", 4), ("hippo", 4)])
def test_a_system_without_pairs_or_of_another_kind_is_refused(init, states):
    with pytest.raises(ValueError, match=f"{states}|{init}"):
        distill_banks.mixing_kernel(init, 4, states, 8, generator())


def test_dense_kernels_have_whole_pairs_at_any_even_number_of_states():
    names = [name for name, _ in distill_banks.dense(4, 6, 8, generator())]
    assert names == ["S5-LegS, 2 states", "S5-LegS, 6 states", "S5-Real, 2 states"]


def test_a_bank_without_a_model_is_refused():
    with pytest.raises(ValueError, match=r"bank = 'S4D'.*S4D-Lin, trained"):
        distill_banks.accuracies("S4D", 2)


def test_a_dense_kernel_of_equal_steps_is_the_recurrence_of_its_real_matrices(monkeypatch):
    """C A_bar^k B_bar with HiPPO's normal part as a dense matrix, by its exponential."""
    monkeypatch.setattr(distill_banks, "STEPS", (0.05, 0.05))
    found = distill_banks.mixing_kernel("legs", 3, 6, 9, generator(1))
    drawn = generator(1)
    B = torch.randn(6, 3, generator=drawn, dtype=torch.float64) / 3**0.5
    C = torch.randn(3, 6, generator=drawn, dtype=torch.float64) / 6**0.5
    A, column = hippo_legs(6)
    A = A + torch.outer(column, column) / 2
    step = torch.linalg.matrix_exp(0.05 * A)
    gain = torch.linalg.solve(A, (step - torch.eye(6).double()) @ B)
    expected = torch.stack([C @ torch.linalg.matrix_power(step, lag) @ gain for lag in range(9)])
    assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_rank_needed_is_the_first_whose_dropped_values_are_small():
    kernel = torch.diag(torch.tensor([1.0, 0.5, 1e-3], dtype=torch.float64))
    needed, error = distill_banks.rank_needed(kernel)
    assert needed == 2
    assert error == pytest.approx(1e-3 / (1 + 0.25 + 1e-6) ** 0.5)
    assert distill_banks.rank_needed(torch.eye(3).double()) == (3, 0.0)


def test_a_model_of_real_modes_is_found_again(tmp_path):
    plan = Plan("digits", seed=0, states=6, steps=1, width=8, layers=1, init="real")
    made, task = original(plan)
    keep(made, plan, tmp_path / "real.safetensors")
    model, again = load(tmp_path / "real.safetensors")
    (layer,) = (layer for layer in model.modules() if isinstance(layer, S4D))
    assert layer.a_imag is None
    assert layer.C.shape == (8, 6)
    assert again.accuracy(model) == task.accuracy(made)


def test_the_committed_model_of_real_modes_has_the_sizes_of_the_other():
    real, other = (distill_banks.trained(bank) for bank in (distill_banks.REAL_TRAINED, distill_banks.TRAINED))
    assert real.a_imag is None
    assert real.C.shape == (64, 128)
    assert other.C.shape == (64, 64, 2)
