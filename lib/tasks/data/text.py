"""Characters of text that ships with this repository: the library's own source, read in order of its file names."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.models.checks import check_count, check_kind, check_tokens
from lib.paths import LIB


@dataclass(frozen=True)
class Characters:
    """A text as numbers, one per character, cut into a part to train on and a part to judge by.

    alphabet   the characters, sorted; a character's number is its place
    train      (S,) int64
    held_out   (S',) int64: every tenth block of the text, none of it in `train`
    """

    alphabet: str
    train: Tensor
    held_out: Tensor

    def decode(self, tokens: Tensor) -> str:
        """The text of one sequence of numbers (T,).

        raises   ValueError, quoting it, for a number of no character, such as a negative one
        """
        check_tokens(tokens, len(self.alphabet), "T", T=0)
        return "".join(self.alphabet[token] for token in tokens.tolist())

    def encode(self, text: str) -> Tensor:
        """The numbers (T,) of a text.

        raises   TypeError for what is no text; ValueError, quoting the first character that is not in the alphabet
        """
        check_kind("text", text, str)
        for character in text:
            if character not in self.alphabet:
                raise ValueError(f"{character!r} is not among the {len(self.alphabet)} characters of the text")
        return torch.tensor([self.alphabet.index(character) for character in text], dtype=torch.long)

    def guessing(self) -> float:
        """Cross-entropy [nats per held-out character] of guessing by each character's frequency in `train`.

        Every count is one higher than counted, so that a character that `train` lacks costs much, not everything.
        """
        counts = self.train.bincount(minlength=len(self.alphabet)) + 1.0
        return -(counts / counts.sum())[self.held_out].log().mean().item()

    def batch(self, size: int, length: int, generator: torch.Generator, *, held_out: bool = False) -> Tensor:
        """Draw windows (size, length + 1) of the text at random: inputs and, one further, targets.

        raises   ValueError for a size or length below 1, and where the text is shorter than one window
        """
        part = self.held_out if held_out else self.train
        check_count("size", size)
        check_count("length", length, 1, len(part) - 1)
        starts = torch.randint(len(part) - length, (size, 1), generator=generator)
        return part[starts + torch.arange(length + 1)]


def library_source(block: int = 4096) -> Characters:
    """The Python source of `lib`. It changes as the library does: results on it are for demonstration.

    block    characters in a row that go to the same part
    raises   ValueError for a block below 1, or so long that none would be held out
    """
    text = "\n".join(path.read_text() for path in sorted(LIB.rglob("*.py")))
    alphabet = "".join(sorted(set(text)))
    most = (len(text) - 1) // 9  # in ten blocks, of which the last is held out
    check_count("block", block, 1, most)
    places = {character: number for number, character in enumerate(alphabet)}
    tokens = torch.tensor([places[character] for character in text])
    blocks = tokens.split(block)
    return Characters(
        alphabet,
        train=torch.cat([part for number, part in enumerate(blocks) if number % 10 != 9]),
        held_out=torch.cat(blocks[9::10]),
    )
