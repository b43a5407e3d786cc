"""New label sets for our small CLIPs: objects in colours that they have not seen, and which way up an image is.

Both need words that the models have not read; the second also needs what they were trained to overlook.
"""

from collections.abc import Sequence

import torch
from tokenizers import AddedToken
from torch import nn

from lib.models.clip.load import Clip
from lib.tasks.data.images import Images, rendered
from lib.tasks.data.scenes import Colours

COLOURS: Colours = {
    "orange": (0.95, 0.5, 0.1),
    "purple": (0.55, 0.2, 0.7),
    "cyan": (0.1, 0.75, 0.8),
    "pink": (0.95, 0.45, 0.7),
}
WAYS = ("upright", "inverted")
WORDS = {"scenes": tuple(COLOURS), "cifar10": WAYS}  # that are new


def by_colour(count: int, generator: torch.Generator) -> Images:
    """Draw scenes of objects in new colours: 32 classes, none of which a checkpoint of ours has seen."""
    return rendered(count, generator, colours=COLOURS)


def by_way(data: Images, generator: torch.Generator) -> Images:
    """Turn each image by 180 degrees with probability one half; classes double, and say which way up it is."""
    turned = torch.rand(len(data), generator=generator) < 0.5
    pictures = torch.where(turned.view(-1, 1, 1, 1), data.images.flip(-2, -1), data.images)
    names = tuple(f"{way} {name}" for way in WAYS for name in data.names)
    return Images(pictures, turned.long() * len(data.names) + data.classes, names, data.templates)


def learn_words(clip: Clip, words: Sequence[str], generator: torch.Generator) -> None:
    """Add words that a tokenizer and text tower lack, in place: a random vector each, of the others' deviation.

    raises   ValueError, quoting them, for no words
    """
    if isinstance(words, str) or not words:
        raise ValueError(f"words = {words!r}: a tuple of at least one is needed")
    clip.tokenizer.add_tokens([AddedToken(word, single_word=True, normalized=True) for word in words])
    embeddings = clip.model.text_model.embeddings
    old = embeddings.token_embedding.weight.detach()
    drawn = torch.randn(len(clip.tokenizer) - len(old), old.shape[1], generator=generator)
    new = old.std() * drawn.to(old)
    embeddings.token_embedding = nn.Embedding.from_pretrained(torch.cat([old, new]), freeze=False)
    clip.model.config.text_config.vocab_size = len(clip.tokenizer)
