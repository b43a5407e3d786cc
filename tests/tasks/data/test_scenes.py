"""Scenes: a seed decides them, and what the caption says is to be seen."""

import math

import pytest
import torch
from torch.testing import assert_close

from lib.tasks.data.scenes import CAPTIONS, COLOURS, SHAPES, scenes


def drawn(count=256, seed=0, side=64):
    return scenes(count, torch.Generator().manual_seed(seed), side)


def test_a_seed_decides_everything():
    one, two, other = drawn(8), drawn(8), drawn(8, seed=1)
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.classes, two.classes)
    assert not torch.equal(one.images, other.images)


def test_an_object_has_the_colour_of_its_caption():
    found = drawn()
    full = found.inside == 1
    for image, mask, number in zip(found.images, full, found.classes, strict=True):
        colour = image[:, mask].mean(1)
        wanted = COLOURS[CAPTIONS[number].split()[0]]
        nearest = min(COLOURS, key=lambda name: (colour - torch.tensor(COLOURS[name])).norm())
        assert nearest == CAPTIONS[number].split()[0]
        assert_close(colour, torch.tensor(wanted), atol=0.13, rtol=0)


def area(name: str) -> float:
    """Of a shape of radius one, on a fine grid."""
    line = torch.linspace(-1.5, 1.5, 1501)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return (SHAPES[name](x, y) < 0).sum().item() * (3 / 1500) ** 2


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("disc", math.pi * 0.81),
        ("ring", math.pi * (0.95**2 - 0.55**2)),
        ("triangle", 3 * math.sqrt(3) / 4),
        ("square", 2.0),
        ("star", 5 * 0.45 * math.sin(math.pi / 5)),
        ("bar", 2 * 0.6),
        ("cross", 2 * 2 * 0.6 - 0.36),
        ("ellipse", math.pi / 2),
    ],
)
def test_a_shape_covers_what_geometry_says(name, wanted):
    assert area(name) == pytest.approx(wanted, rel=0.01)


def test_the_background_is_cluttered_where_it_says_so():
    found = drawn()
    edges = found.images.diff(dim=-1).abs().mean(1) * (found.inside[..., 1:] == 0) * (found.inside[..., :-1] == 0)
    sharp = (edges > 0.12).float().mean((1, 2))  # three times what noise does
    assert sharp[found.cluttered == 1].mean() > 10 * sharp[found.cluttered == 0].mean()
    assert 0.35 < found.cluttered.float().mean() < 0.65


def test_every_class_comes_up_and_every_pixel_is_a_colour():
    found = drawn(2000, side=16)
    assert set(found.classes.tolist()) == set(range(len(CAPTIONS)))
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert found.images.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"), [((0, 64), "count = 0"), ((1, 8), "side = 8: an integer from 16 to 1024")]
)
def test_a_size_out_of_range_is_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        scenes(options[0], torch.Generator(), options[1])


def test_no_colours_are_refused():
    with pytest.raises(ValueError, match="colours = 0: an integer of at least 1 is needed"):
        scenes(2, torch.Generator(), colours={})
