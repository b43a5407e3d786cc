"""What can be runs, and what cannot be is refused when it is made: grids, shares, schedules, layers."""

import itertools

import pytest
import torch
from reductions import FIXED, REDUCTIONS, SEEN, merging
from refusals import refused
from towers import images, tower

from lib.models.clip.merge_schedules import SCHEDULES, kept, merges, rounds
from lib.models.clip.reduction import reduce_tokens

SMALL = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
KEEPS = (1e-300, 0.3, 0.75)


def test_every_schedule_that_is_accepted_can_be_walked():
    accepted = refusals = 0
    shares = [share / 20 for share in range(1, 21)]
    for side, points, keep, schedule, often in itertools.product(
        range(1, 25), (1, 3, 13), shares, SCHEDULES, (False, True)
    ):
        left = side**2
        try:
            counts = merges(schedule, left, points, keep, in_rounds=often)
        except ValueError:
            refusals += 1
            continue
        accepted += 1
        for count in counts:
            for cut in rounds(count, left) if often else [count]:
                assert 0 <= cut <= left // 2
                assert cut or not often  # a round that merges nothing has nothing to match
                left -= cut
        assert left == kept(keep, side**2)
    assert accepted > 2 * refusals > 0


@pytest.mark.parametrize(("kind", "method"), SEEN)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("side", [1, 3])
@torch.no_grad()
def test_every_tower_that_is_made_sees_an_image(kind, method, layers, side):
    model, x = tower(kind, 8 * side, num_hidden_layers=layers, **SMALL), images(2, 8 * side)
    made = 0
    schedules = SCHEDULES if any(merging(method)) else ["decreasing"]
    for keep, schedule, alone in itertools.product(KEEPS, schedules, (False, True)):
        try:
            reduced = reduce_tokens(model, method, keep, schedule=schedule, class_row_only=alone)
        except ValueError:
            continue
        made += 1
        output, tokens = reduced.traced(x)
        assert output.pooler_output.isfinite().all()
        assert (tokens.sizes[:, tokens.classes :].sum(1) >= 1).all()
        if method in FIXED:
            assert output.last_hidden_state.shape[1] == reduced.seen(side**2)[-1][1]
            assert tokens.count == kept(keep, side**2)
    assert made


@pytest.mark.parametrize("method", REDUCTIONS)
@torch.no_grad()
def test_images_of_other_sizes_and_shapes_are_seen(method):
    reduced = reduce_tokens(tower(**SMALL), method, 0.75)
    for high, wide in ((8, 8), (8, 80), (47, 50)):
        output = reduced(torch.randn(1, 3, high, wide).double(), interpolate_pos_encoding=True)
        assert output.pooler_output.isfinite().all()
        if method in FIXED:
            assert output.last_hidden_state.shape[1] == 1 + kept(0.75, (high // 8) * (wide // 8))


def test_one_token_of_many_by_rounds():
    model = tower(side=56, num_hidden_layers=12, **SMALL)  # the grid and the layers of CLIP's B/32 at 224
    reduced, x = reduce_tokens(model, "merge_in_rounds", 0.02), images(1, 56)
    assert reduced(x).last_hidden_state.shape[1] == 2
    assert reduced.traced(x)[1].sizes.tolist() == [[1, 49]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": None}, "schedule = None: one of constant, decreasing, front, or numbers, is needed"),
        ({"schedule": {3, 2}}, "schedule = {2, 3}: one of"),
        ({"schedule": [1.5, 0, 0]}, "schedule = [1.5, 0, 0]: 3 numbers of at least 0"),
        ({"schedule": [True, 0, 0]}, "schedule = [True, 0, 0]: 3 numbers of at least 0"),
        ({"schedule": [1, 0, 0], "keep": 7.0}, "keep = 7.0: more than 0 and at most 1 is needed"),
        ({"schedule": [1, 0, 0], "keep": float("nan")}, "keep = nan: a finite number"),
        ({"keep": "half"}, "keep = 'half': a finite number"),
        ({"seed": 2**64}, f"seed = {2**64}: an integer from {-(2**63)} to {2**64 - 1} is needed"),
        ({"seed": 0.5}, "seed = 0.5: an integer"),
        ({"layer": True}, "layer = True: an integer from 0 to 2 is needed"),
        ({"layer": -1}, "layer = -1: an integer from 0 to 2 is needed"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_any_image_comes(options, message):
    with refused(message):
        reduce_tokens(tower(), "merge", **options)


@pytest.mark.parametrize("name", ["class_row_only", "summary"])
@pytest.mark.parametrize("method", ["merge", "random", "original"])
def test_a_flag_is_true_or_false(method, name):
    given = {name: "no"} if name != "summary" or method == "random" else {name: 0}
    with refused(f"{name} is of type {type(given[name]).__name__}: a True or False is needed", TypeError):
        reduce_tokens(tower(), method, **given)


@pytest.mark.parametrize("method", ["merge", "random", "original"])
def test_dense_is_a_flag_or_a_way_to_fill(method):
    with refused("dense = 'no': one of True, False, nearest is needed"):
        reduce_tokens(tower(), method, dense="no")
    with refused("dense is of type int: a True, False or 'nearest' is needed", TypeError):
        reduce_tokens(tower(), method, dense=1)


@pytest.mark.parametrize("method", REDUCTIONS)
def test_a_seed_that_no_generator_takes_is_refused_by_every_method(method):
    with refused(f"seed = {2**70}: an integer"):
        reduce_tokens(tower(), method, seed=2**70)


def test_of_one_layer_that_computes_one_row_none_is_left_to_choose_or_to_merge_in():
    model = tower(num_hidden_layers=1)
    for method in ("class_attention", "adaptive", "merge_then_prune"):
        with refused(f"class_row_only: CLIPVisionModel has one layer, none in which {method!r} chooses"):
            reduce_tokens(model, method, 0.5, class_row_only=True)
    with refused("keep = 0.5: tokens merge inside layers, and with class_row_only none of 1 is whole"):
        reduce_tokens(model, "merge", 0.5, class_row_only=True)
    with refused("keep = 0.5: patches go inside a layer, and with class_row_only none of 1 is whole"):
        reduce_tokens(model, "key_query_norm", 0.5, class_row_only=True)
    for method in ("norm", "norm_each_layer", "random", "merge_in_rounds"):
        assert reduce_tokens(model, method, 0.5, class_row_only=True)(images()).pooler_output.isfinite().all()
