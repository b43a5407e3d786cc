"""Rendered, captioned scenes: one coloured shape before a smooth or a cluttered background. No file is needed.

Small enough for minutes on a CPU, and of the kind that token reduction is about: most patches show no object.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count, check_many, check_number

Colours = Mapping[str, tuple[float, float, float]]  # name -> red, green and blue, from 0 to 1
COLOURS: Colours = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.7, 0.2),
    "blue": (0.2, 0.3, 0.9),
    "yellow": (0.9, 0.8, 0.15),
}
CLUTTER = 14  # pieces behind the object of a cluttered scene


def _polygon(corners: int, inner: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Distance to a regular polygon of radius one, or to a star with its inner corners at another radius."""

    def distance(x: Tensor, y: Tensor) -> Tensor:
        half = math.pi / corners
        angle = (torch.atan2(y, x) + half) % (2 * half) - half
        radius = torch.hypot(x, y)
        x, y = radius * angle.cos(), radius * angle.sin().abs()
        # The edge from a corner (1, 0) to the next inner corner, or to the middle of the polygon's own edge.
        reach = inner if inner < 1 else math.cos(half)
        end_x, end_y = reach * math.cos(half), reach * math.sin(half)
        length = math.hypot(end_x - 1, end_y)
        return (end_y * (x - 1) - (end_x - 1) * y) / length

    return distance


def _bar(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 1, y.abs() - 0.3)


SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "disc": lambda x, y: torch.hypot(x, y) - 0.9,
    "ring": lambda x, y: (torch.hypot(x, y) - 0.75).abs() - 0.2,
    "triangle": _polygon(3),
    "square": _polygon(4),
    "star": _polygon(5, 0.45),
    "bar": _bar,
    "cross": lambda x, y: torch.minimum(_bar(x, y), _bar(y, x)),
    "ellipse": lambda x, y: torch.hypot(x, 2 * y) - 1,
}


def captions(colours: Iterable[str]) -> tuple[str, ...]:
    """Captions of the classes, one each, in the order of their numbers."""
    return tuple(f"{colour} {shape}" for colour in colours for shape in SHAPES)


CAPTIONS = captions(COLOURS)


@dataclass(frozen=True)
class Scenes:
    """Rendered images and what is on them.

    images     (B, 3, side, side), from 0 to 1
    classes    numbers in `captions` of the colours
    cluttered  whether the background is
    inside     (B, side, side), how much of a pixel the object covers
    """

    images: Float[Tensor, "B 3 H W"]
    classes: Int[Tensor, " B"]
    cluttered: Int[Tensor, " B"]
    inside: Float[Tensor, "B H W"]


def scenes(count: int, generator: torch.Generator, side: int = 64, colours: Colours = COLOURS) -> Scenes:
    """Draw scenes: class, place, size, angle and background at random, every second background cluttered on average.

    colours   of the objects
    raises    ValueError, quoting it, for a count below 1, for fewer than 16 or more than 1,024 pixels a side, for no
              colours, and for a colour that is not three numbers from 0 to 1
    """
    check_count("count", count)
    check_count("side", side, 16, 1024)
    check_count("colours", len(colours))
    for name, colour in colours.items():
        check_many(f"colours[{name!r}]", colour, 3, "numbers")
        for value in colour:
            check_number(f"colours[{name!r}]", value, 0, 1)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    def number(most: int, *shape: int) -> Tensor:
        return torch.randint(most, (count, *shape), generator=generator)

    classes, cluttered = number(len(colours) * len(SHAPES)), number(2)
    # Smooth: a grey or pastel gradient, from coarse noise.
    images = F.interpolate(uniform(0.35, 0.75, 3, 3, 3), size=(side, side), mode="bicubic").clamp(0, 1)
    for _ in range(CLUTTER):
        # Pieces have any colour but that of an object, and are smaller than it.
        piece = uniform(0.1, 0.9, 3, 1, 1)
        piece = piece.mean(1, keepdim=True) + 0.5 * (piece - piece.mean(1, keepdim=True))
        distance = _placed(side, uniform(-1, 1, 2), uniform(0.08, 0.2), uniform(0, math.tau))
        cover = _cover(_bar(*distance[:2]), distance[2], side) * cluttered.view(-1, 1, 1)
        images = torch.lerp(images, piece.expand_as(images), cover.unsqueeze(1))
    x, y, size = _placed(side, uniform(-0.45, 0.45, 2), uniform(0.28, 0.5), uniform(0, math.tau))
    shapes = torch.stack([distance(x, y) for distance in SHAPES.values()], dim=1)
    own = shapes[torch.arange(count), classes % len(SHAPES)]
    inside = _cover(own, size, side)
    colour = (torch.tensor(list(colours.values()))[classes // len(SHAPES)] + uniform(-0.1, 0.1, 3)).clamp(0, 1)
    images = torch.lerp(images, colour.view(-1, 3, 1, 1).expand_as(images), inside.unsqueeze(1))
    noise = 0.03 * torch.randn(images.shape, generator=generator)
    return Scenes((images + noise).clamp(0, 1), classes, cluttered, inside)


def _placed(side: int, centre: Tensor, size: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixel coordinates (B, H, W) as an object of radius one sees them, and its size."""
    line = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    centre, size, angle = centre.view(-1, 2, 1, 1), size.view(-1, 1, 1), angle.view(-1, 1, 1)
    x, y = x - centre[:, 0], y - centre[:, 1]
    return (x * angle.cos() + y * angle.sin()) / size, (y * angle.cos() - x * angle.sin()) / size, size


def _cover(distance: Tensor, size: Tensor, side: int) -> Tensor:
    """How much of a pixel lies inside, from the distance to an edge: edges are smooth over one pixel."""
    return (0.5 - distance * size * side / 2).clamp(0, 1)
