"""The benchmark itself: it measures what it says, and refuses peers that compute something else."""

import pytest
import torch
from benchmarks import scan


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(scan, "SHAPES", {"forward": (1, 16, 8, 4), "training": (1, 8, 8, 4)})
    monkeypatch.setattr(scan, "MEMORY", (1, 16, 8, 4))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", ["forward", "training"])
def test_every_peer_is_timed_after_itself_and_after_another(small, part, capsys):
    cases = scan.measure(part, 1, False, 3, 0, "cpu")
    kinds = {(case.variant, case.parameters["after"]) for case in cases}
    assert {("cpp", "itself"), ("cpp", "another"), (scan.FALLBACK, "itself")} <= kinds
    assert all(len(case.seconds) == 3 for case in cases)


@pytest.mark.filterwarnings("ignore")
def test_the_table_names_every_peer_and_the_floor(small, capsys):
    cases = [*scan.memory(0, "cpu"), scan.floor(3)]
    for part in scan.SHAPES:
        cases += scan.measure(part, 1, False, 2, 0, "cpu")
    scan.show(cases)
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in ("cpp", "torch", "transformers, fallback"))
    assert "of that speed" in shown


def test_a_peer_that_computes_something_else_is_found():
    tensors = scan.inputs(1, 8, 4, 2, 0, "cpu")
    scans = {"wrong": lambda *x: 1.01 * x[0], scan.FALLBACK: lambda *x: x[0]}
    with pytest.raises(AssertionError):
        scan.check(scans, tensors)
