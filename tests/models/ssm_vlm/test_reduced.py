"""A tower with fewer patches: the tower itself at keep 1, the order kept, steps as long as what a patch stands for."""

import pytest
import torch
from torch import nn
from torch.nn.functional import silu, softplus
from torch.testing import assert_close
from transformers import CLIPVisionConfig, CLIPVisionModel

from lib import names
from lib.models.ssm.mamba_block import MambaConfig
from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.reduced import ReducedTower
from lib.models.ssm_vlm.tower import Sizes, VisionTower

CONFIG = CLIPVisionConfig(hidden_size=12, num_attention_heads=3, num_hidden_layers=2, image_size=16, patch_size=4)
SIZES = Sizes(MambaConfig(dim=12, layers=1, states=4), 4, 3)
every = pytest.mark.parametrize("method", names.SCAN_REDUCTIONS)


def tower(kind="vision_mamba"):
    return VisionTower(CONFIG, kind, SIZES, generator=torch.Generator().manual_seed(0)).double()


def pixels(batch=3):
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double()


@every
@torch.no_grad()
def test_all_patches_are_the_tower_itself(method):
    made, x = tower(), pixels()
    for name, whole in made(x).items():
        assert torch.equal(ReducedTower(made, method, 1.0)(x)[name], whole)


@every
@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(method):
    reduced, x = ReducedTower(tower(), method, 0.5), pixels()
    assert_close(reduced(x).pooler_output[1:2], reduced(x[1:2]).pooler_output, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("keep", "before", "counts"), [(0.5, None, [8]), (0.5, (1, 3), [11, 8]), (0.25, (0,), [4]), (0.01, (2,), [1])]
)
@torch.no_grad()
def test_as_many_patches_are_left_as_it_says(keep, before, counts):
    reduced = ReducedTower(tower(), "segments", keep, before=before)
    read = []
    for layer in reduced.tower.layers:
        layer["mixer"].register_forward_pre_hook(lambda _, given: read.append(given[0].shape[1]))
    found = reduced(pixels())
    assert reduced.counts() == counts
    assert found.last_hidden_state.shape == (3, counts[-1], 12)
    assert sorted({16, *counts} if before != (0,) else {*counts}, reverse=True) == list(dict.fromkeys(read))


@torch.no_grad()
def test_equal_neighbours_merge_and_the_image_stands_as_a_whole():
    made, x = tower(), pixels(1)
    made.positions.zero_()
    x[:] = x[..., :4, :4].repeat(1, 1, 4, 4)  # every patch alike
    embedded = made.embedded(x, {})
    reduced = ReducedTower(made, "segments", 0.25, before=(0,))
    first = []
    made.layers[0]["mixer"].register_forward_pre_hook(lambda _, given: first.append(given))
    reduced(x)
    merged, grid, sizes = first[0]
    assert grid == (1, 4)
    assert sizes.sum() == 16
    assert_close(merged, made.layers[0]["norm"](embedded)[:, :4])


def in_turn(block, x, sizes):
    """The block's definition, patch by patch, with steps as many times as long as sizes say."""
    values, gate = block.in_proj(x).chunk(2, dim=-1)
    total, E = 0, block.config.channels
    for number, flip in enumerate((False, True)):
        inside = slice(number * E, (number + 1) * E)
        u, size = (one.flip(1) if flip else one for one in (values, sizes))
        padded = nn.functional.pad(u.transpose(1, 2), (block.config.kernel - 1, 0))
        u = silu(nn.functional.conv1d(padded, block.conv1d.weight[inside], block.conv1d.bias[inside], groups=E))
        u = u.transpose(1, 2)
        rank, states = block.config.step_rank, block.config.states
        low, B, C = block.x_proj[number](u).split([rank, states, states], dim=-1)
        delta = softplus(block.dt_proj[number](low)) * size[..., None]
        A, h, out = -block.A_log[inside].exp(), 0, []
        for t in range(x.shape[1]):
            step = delta[:, t, :, None]
            h = (step * A).exp() * h + step * B[:, t, None] * u[:, t, :, None]
            out.append((h * C[:, t, None]).sum(-1) + block.D[inside] * u[:, t])
        y = torch.stack(out, 1)
        total = total + (y.flip(1) if flip else y)
    return block.out_proj(total * silu(gate))


@torch.no_grad()
def test_steps_are_as_many_times_as_long():
    generator = torch.Generator().manual_seed(2)
    block = VisionMambaBlock(SIZES.mamba, generator=generator).double()
    x = torch.randn(2, 7, 12, generator=generator).double()
    sizes = torch.randint(1, 5, (2, 7), generator=generator).double()
    assert_close(block(x, (1, 7), sizes), in_turn(block, x, sizes), rtol=1e-10, atol=1e-10)
    assert_close(block(x, (1, 7), torch.ones_like(sizes)), block(x, (1, 7)), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_step_sizes_are_those_of_the_scan():
    generator = torch.Generator().manual_seed(3)
    block = VisionMambaBlock(SIZES.mamba, generator=generator).double()
    x = torch.randn(1, 5, 12, generator=generator).double()
    u, _ = block.in_proj(x).chunk(2, dim=-1)
    expected = 0
    for number, flip in enumerate((False, True)):
        inside = slice(number * block.config.channels, (number + 1) * block.config.channels)
        way = u.flip(1) if flip else u
        padded = nn.functional.pad(way.transpose(1, 2), (block.config.kernel - 1, 0))
        weight, bias = block.conv1d.weight[inside], block.conv1d.bias[inside]
        way = silu(nn.functional.conv1d(padded, weight, bias, groups=block.config.channels)).transpose(1, 2)
        low = block.x_proj[number](way)[..., : block.config.step_rank]
        made = softplus(block.dt_proj[number](low)).mean(-1)
        expected = expected + (made.flip(1) if flip else made) / 2
    assert_close(block.step_sizes(x, (1, 5)), expected, rtol=1e-10, atol=1e-10)


def test_weights_are_shared_and_learn():
    made = tower()
    reduced = ReducedTower(made, "segments", 0.5)
    reduced(pixels()).pooler_output.square().sum().backward()
    assert [name for name, one in made.named_parameters() if one.grad is None] == []


@pytest.mark.usefixtures("unchecked")
@pytest.mark.limit(
    "ssm_vlm",
    "Fewer patches in a tower that scans columns, attends, or averages squares of patches",
    "What is left makes no grid. Reduce a Vision Mamba tower, whose scans go along the row of patches.",
)
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ReducedTower(tower("cross_scan"), "norm", 0.5), "'cross_scan' has a VisionMambaBlock"),
        (lambda: ReducedTower(tower("s4nd"), "norm", 0.5), "'s4nd' has a S4NDBlock"),
        (lambda: ReducedTower(tower("hybrid"), "norm", 0.5), "'hybrid' has a"),
        (lambda: ReducedTower(tower(), "best", 0.5), "method = 'best'"),
        (lambda: ReducedTower(tower(), "norm", 0.0), "keep = 0.0"),
        (lambda: ReducedTower(tower(), "norm", 1.5), "keep = 1.5"),
        (lambda: ReducedTower(tower(), "norm", 0.5, before=(4,)), "before = 4"),
        (lambda: ReducedTower(tower(), "norm", 0.5, before=(1.0,)), "before = 1.0"),
        (lambda: ReducedTower(tower(), "norm", 0.5, before=()), r"before = \(\)"),
        (lambda: ReducedTower(tower(), "norm", 0.5, seed="a"), "seed = 'a'"),
        (lambda: ReducedTower(tower(), "norm", 0.5, before=(2, 1)), r"before = \(2, 1\)"),
        (lambda: ReducedTower(tower(), "norm", 0.5)(pixels(), output_attentions=True), "output_attentions = True"),
        (lambda: ReducedTower(tower(), "norm", 0.5)(pixels()[..., :8, :8]), "pixel_values of shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ReducedTower(CLIPVisionModel(CONFIG), "norm", 0.5), "CLIPVisionModel"),
        (lambda: ReducedTower(ReducedTower(tower(), "norm", 0.5), "norm", 0.5), "ReducedTower"),
        (lambda: ReducedTower(tower(), "norm", 0.5, before=2), "before is of type int"),
    ],
)
def test_another_librarys_tower_and_no_list_of_blocks_are_refused(call, words):
    with pytest.raises(TypeError, match=words):
        call()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("sizes", [torch.ones(2, 6), torch.ones(2, 7, dtype=torch.long), torch.ones(2, 7).double()])
def test_sizes_of_another_shape_or_dtype_are_refused(sizes):
    block = VisionMambaBlock(SIZES.mamba)
    with pytest.raises(ValueError, match="sizes"):
        block(torch.randn(2, 7, 12), (1, 7), sizes)
