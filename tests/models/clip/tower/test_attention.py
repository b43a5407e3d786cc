"""Attention by sizes: a bias of one number per key, which the fused kernel takes as it is, is the dense mask's."""

import pytest
import torch
from precision import assert_within
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from towers import images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tower import Tower, attend, heads

FUSED = "aten::_scaled_dot_product_flash_attention_for_cpu"


class Masks(TorchDispatchMode):
    """Counts the numbers in memory of every mask that a fused attention is given."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        mask = (kwargs or {}).get("attn_mask")
        if mask is not None:
            self.numbers.append(mask.untyped_storage().nbytes() // mask.element_size())
        return func(*args, **(kwargs or {}))


def given(dtype=torch.float64):
    """The attention of a tower's first layer, what it gets, and sizes from 1 to 4, of one image with padding."""
    model = tower(dtype=dtype)
    layer = model.encoder.layers[0]
    x = layer.layer_norm1(Tower.of(model).embed(images(dtype=dtype)))
    sizes = torch.randint(1, 5, x.shape[:2], generator=torch.Generator().manual_seed(0)).to(dtype)
    sizes[0, -2:] = 0
    return layer.self_attn, x, sizes


@torch.no_grad()
def test_the_bias_of_one_number_per_key_is_the_dense_mask():
    attention, x, sizes = given()
    query, key, value = (heads(attention, one(x)) for one in (attention.q_proj, attention.k_proj, attention.v_proj))
    dense = sizes.log()[:, None, None, :].expand(-1, attention.num_heads, x.shape[1], -1).contiguous()
    by_hand = (query @ key.mT * attention.scale + dense).softmax(-1) @ value
    masked = F.scaled_dot_product_attention(query, key, value, attn_mask=dense, scale=attention.scale)
    found = attend(attention, x, sizes)[0]
    for wanted in (by_hand, masked):
        assert_within(found, attention.out_proj(wanted.transpose(1, 2).flatten(2)), 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@torch.no_grad()
def test_the_fused_kernel_runs_with_sizes_and_without(dtype):
    attention, x, sizes = given(dtype)
    for weights in (None, sizes):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            attend(attention, x, weights)
        ran = {event.key for event in seen.key_averages()}
        assert FUSED in ran
        assert not {"aten::_softmax", "aten::_safe_softmax", "aten::_scaled_dot_product_attention_math"} & ran


@torch.no_grad()
def test_no_mask_has_a_number_for_every_pair_of_tokens():
    x = images()
    with Masks() as seen:
        reduce_tokens(tower(), "merge", schedule=[4, 4, 0])(x)
    assert seen.numbers == [3 * 13, 3 * 9]  # images and tokens of the layers after the first merger
    attention, x, sizes = given()
    query = heads(attention, attention.q_proj(x))
    with Masks() as seen:
        F.scaled_dot_product_attention(query, query, query, attn_mask=sizes[:, None, None].expand(3, 4, 17, 17).clone())
    assert seen.numbers == [3 * 4 * 17 * 17]  # what a dense one would have
