"""New label sets for our small CLIPs: objects in colours that they have not seen, and which way up an image is.

Both need words that the models have not read; the second also needs what they were trained to overlook.
"""

from collections.abc import Sequence

import torch
from tokenizers import AddedToken
from torch import nn

from lib.models.clip.load import Clip
from lib.models.clip.load.texts import LEGACY, check_names
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

    raises   ValueError, quoting them, for no words, for one that is there twice or that the tokenizer has as a token,
             for a model without a row per token, and for one that reads a text at its highest token, not at its end
    """
    check_names(words, "words")
    known = clip.tokenizer.get_vocab()
    for word in words:
        if word in known:
            raise ValueError(f"words: {word!r} is token {known[word]} of {clip.name} already")
    rows = clip.model.text_model.embeddings.token_embedding.num_embeddings
    if rows != len(clip.tokenizer):
        raise ValueError(f"{clip.name}: {rows} rows for {len(clip.tokenizer)} tokens; one for each is needed")
    if clip.model.config.model_type == "clip" and clip.model.config.text_config.eos_token_id == LEGACY:
        raise ValueError(f"{clip.name}: eos_token_id = {LEGACY} in its config: it would read texts at a new word")
    clip.tokenizer.add_tokens([AddedToken(word, single_word=True, normalized=True) for word in words])
    embeddings = clip.model.text_model.embeddings
    old = embeddings.token_embedding.weight.detach()
    drawn = torch.randn(len(clip.tokenizer) - len(old), old.shape[1], generator=generator)
    new = old.std() * drawn.to(old)
    embeddings.token_embedding = nn.Embedding.from_pretrained(torch.cat([old, new]), freeze=False)
    clip.model.config.text_config.vocab_size = len(clip.tokenizer)
