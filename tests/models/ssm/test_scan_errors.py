"""What the scan and its step refuse, with the shapes and names of the caller."""

import pytest
import torch
from refusals import refused

from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref, selective_scan_step

GOOD = {"u": (2, 6, 5), "delta": (2, 6, 5), "A": (6, 3), "B": (2, 3, 5), "C": (2, 3, 5)}
WRONG = {
    "delta": ("delta", (2, 6, 4), r"delta must be \(2, 6, 5\), not \(2, 6, 4\)"),
    "A": ("A", (5, 3), r"A must be \(6, 3\), not \(5, 3\)"),
    "flat A": ("A", (6,), r"A \(D, N\), not .*A \(6,\)"),
    "B": ("B", (2, 4, 5), r"B must be \(6, 3\), \(2, 3, 5\) or \(2, G, 3, 5\), not \(2, 4, 5\)"),
    "groups": ("C", (2, 4, 3, 5), r"C has 4 groups, which do not divide the 6 channels"),
    "D": ("D", (5,), r"D must be \(6,\), not \(5,\)"),
    "z": ("z", (2, 5, 5), r"z must be \(2, 6, 5\)"),
    "state": ("initial_state", (2, 6, 4), r"initial_state must be \(2, 6, 3\), not \(2, 6, 4\)"),
    "flat u": ("u", (6, 5), r"u must be \(B, D, T\)"),
}


@pytest.mark.parametrize(("name", "shape", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("scan", [selective_scan_fn, selective_scan_ref])
def test_a_wrong_shape_is_quoted(scan, name, shape, message):
    tensors = {key: torch.zeros(size) for key, size in (GOOD | {name: shape}).items()}
    with pytest.raises(ValueError, match=message):
        scan(**tensors)


def test_an_empty_axis_is_refused():
    tensors = {key: torch.zeros(size).narrow(-1, 0, size[-1] if key == "A" else 0) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match=r"no axis may be empty: u \(2, 6, 0\)"):
        selective_scan_fn(**tensors)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_complex_and_whole_numbers_are_refused(dtype):
    tensors = {key: torch.zeros(size) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match=f"A is {dtype}: real floating-point tensors are needed"):
        selective_scan_fn(**(tensors | {"A": tensors["A"].to(dtype)}))


def test_mixed_devices_are_named():
    tensors = {key: torch.zeros(size) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match="one device, not u on cpu, delta on meta"):
        selective_scan_fn(**(tensors | {"delta": tensors["delta"].to("meta")}))


@pytest.mark.parametrize("scan", [selective_scan_fn, selective_scan_ref])
@pytest.mark.parametrize("name", [*GOOD, "D", "z", "delta_bias", "initial_state"])
def test_a_list_is_refused_by_the_name_of_its_argument(scan, name):
    tensors = {key: torch.zeros(size) for key, size in GOOD.items()}
    with refused(f"{name} is of type list: a tensor is needed", TypeError):
        scan(**(tensors | {name: [0.0]}))


STEP = {"state": (2, 6, 3), "u": (2, 6), "delta": (2, 6), "A": (6, 3), "B": (2, 3), "C": (2, 3)}
ALL = "u (2, 6), delta (2, 6), A (6, 3), B (2, 3), C (2, 3), state (2, 6, 3)"
WRONG_STEP = {
    "delta": (
        "delta",
        (2, 5),
        f"delta must be (2, 6), not (2, 5), beside {ALL.replace('delta (2, 6)', 'delta (2, 5)')}",
    ),
    "z": ("z", (2, 5), "z must be (2, 6), not (2, 5), beside u (2, 6), "),
    "D": ("D", (5,), "D must be (6,), not (5,), beside u (2, 6), "),
    "bias": ("delta_bias", (2, 6), "delta_bias must be (6,), not (2, 6), beside u (2, 6), "),
    "A": ("A", (5, 3), "A must be (6, 3), not (5, 3), beside u (2, 6), "),
    "B": ("B", (2, 4), "B must be (2, 3) or (2, G, 3), not (2, 4), beside u (2, 6), "),
    "B of all": ("B", (6, 3), "B must be (2, 3) or (2, G, 3), not (6, 3), beside u (2, 6), "),
    "groups": (
        "C",
        (2, 4, 3),
        f"C has 4 groups, which do not divide the 6 channels of {ALL.replace('C (2', 'C (2, 4')}",
    ),
    "states": ("state", (2, 6, 4), f"state must be (2, 6, 3), not (2, 6, 4), beside {ALL[:-2]}4)"),
    "batch": ("state", (1, 6, 3), "state must be (2, 6, 3), not (1, 6, 3), beside u (2, 6), "),
    "sequence": ("u", (2, 6, 5), f"u must be (B, D) and A (D, N), not {ALL.replace('u (2, 6)', 'u (2, 6, 5)')}"),
    "flat A": ("A", (6,), f"u must be (B, D) and A (D, N), not {ALL.replace('A (6, 3)', 'A (6,)')}"),
    "nothing": ("u", (2, 0), f"no axis may be empty: {ALL.replace('u (2, 6)', 'u (2, 0)')}"),
}


@pytest.mark.parametrize(("name", "shape", "message"), WRONG_STEP.values(), ids=WRONG_STEP)
def test_a_wrong_shape_in_a_step_is_quoted_as_given(name, shape, message):
    tensors = {key: torch.zeros(size) for key, size in (STEP | {name: shape}).items()}
    with refused(message):
        selective_scan_step(**tensors)


@pytest.mark.parametrize("name", [*STEP, "D", "z", "delta_bias"])
def test_a_list_in_a_step_is_refused_by_the_name_of_its_argument(name):
    tensors = {key: torch.zeros(size) for key, size in STEP.items()}
    with refused(f"{name} is of type list: a tensor is needed", TypeError):
        selective_scan_step(**(tensors | {name: [0.0]}))


@pytest.mark.parametrize("name", STEP)
def test_what_a_step_needs_may_not_be_none(name):
    tensors = {key: torch.zeros(size) for key, size in STEP.items()}
    with refused(f"{name} is of type NoneType: a tensor is needed", TypeError):
        selective_scan_step(**(tensors | {name: None}))


def test_a_state_of_whole_numbers_is_refused_by_its_name():
    tensors = {key: torch.zeros(size) for key, size in STEP.items()}
    with refused("state is torch.int64: real floating-point tensors are needed"):
        selective_scan_step(**(tensors | {"state": tensors["state"].long()}))
