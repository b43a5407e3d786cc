"""Operators that a reduced tower runs: none waits for a GPU, sorts are of small arrays, and they are few."""

import pytest
import torch
from reductions import FIXED, WALKS
from torch.utils._python_dispatch import TorchDispatchMode
from towers import images, tower

from lib.models.clip.merge import match, merged, merged_in_rounds
from lib.models.clip.reduction import kind, reduce_tokens
from lib.models.clip.tokens import Tokens

WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "equal", "is_nonzero"}
SORTS = {"sort", "topk", "argsort"}
MATCHING = 68  # operators, views among them, of one matching by sizes with its merger


class Operators(TorchDispatchMode):
    """The operators of torch that run: their names, and the largest array that one of SORTS has ordered."""

    def __init__(self):
        super().__init__()
        self.names, self.sorted = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = args[1] if name in ("index", "index_put_", "index_put") else ()
        self.names.append("nonzero" if any(one is not None and one.dtype == torch.bool for one in masks) else name)
        if name in SORTS:
            self.sorted = max(self.sorted, args[0].numel())
        return func(*args, **(kwargs or {}))

    @property
    def waits(self) -> set[str]:
        """Those whose answer the host has to know before it goes on."""
        return WAITS & {*self.names}


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("traced", [False, True])
@torch.no_grad()
def test_a_forward_never_waits_for_a_gpu_and_sorts_a_number_per_token(method, traced):
    reduced, x = reduce_tokens(tower(), method, 0.5), images()
    with Operators() as ran:
        reduced.traced(x) if traced else reduced(x)
    assert not ran.waits
    assert ran.sorted <= 3 * 17


@pytest.mark.parametrize("method", [name for name in WALKS if kind(name).per_image])
@torch.no_grad()
def test_a_number_per_image_is_waited_for_once(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images()
    with Operators() as ran:
        reduced(x)
    assert ran.names.count("_local_scalar_dense") == 1


def test_what_waits_is_seen():
    x = torch.arange(4.0)
    for wait in (lambda: x[2].item(), lambda: x[x > 1], lambda: x.nonzero(), lambda: bool(x.sum() > 1), x.unique):
        with Operators() as ran:
            wait()
        assert ran.waits, wait


def test_a_matching_is_few_operators_whatever_the_batch():
    counts = []
    for batch in (1, 7):
        tokens = Tokens.of(torch.randn(batch, 33, 8, generator=torch.Generator().manual_seed(0)), 1, placed=False)
        tokens = merged(tokens, *match(tokens.x, 4, 1))  # from now on sizes count
        with Operators() as ran:
            merged_in_rounds(tokens, 3)
        counts.append(len(ran.names))
    assert counts[0] == counts[1] <= MATCHING


@torch.no_grad()
def test_places_that_nobody_reads_cost_nothing_and_change_nothing():
    x = images()
    for method in FIXED:
        reduced = reduce_tokens(tower(), method, 0.5)
        with Operators() as alone:
            output = reduced(x)
        with Operators() as placed:
            wanted = reduced.traced(x)[0]
        assert torch.equal(output.pooler_output, wanted.pooler_output)
        assert len(alone.names) < len(placed.names)
