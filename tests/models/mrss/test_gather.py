"""Mixers on some members of each sequence, against a loop over them."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from mrss_mixers import sequence
from torch.testing import assert_close

from lib.models.mrss.gather import gathered, held


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=20), st.integers(0, 9))
def test_outputs_of_taken_places_are_held_until_the_next(taken, seed):
    taken = torch.tensor(taken)
    x = sequence(12, 2, seed, batch=len(taken))
    so_far, wanted = taken.cumsum(1), torch.zeros_like(x)
    for row, places in enumerate(taken.tolist()):
        total = torch.zeros(2, dtype=x.dtype)
        for at, is_taken in enumerate(places):
            total = total + x[row, at] if is_taken else total
            wanted[row, at] = total
    if taken.any():
        inputs = gathered(x, so_far, int(so_far.max()))
        assert_close(held(lambda y: y.cumsum(1), inputs, so_far), wanted)
