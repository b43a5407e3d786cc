"""Texts, names of classes and templates of any origin, refused before they are read wrongly.

A string is a list of letters, a doubled brace is a brace, and a tower reads a text where it finds the end token.
"""

from collections.abc import Collection, Sequence
from string import Formatter
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PretrainedConfig

from lib.models.checks import check_kind

LEGACY = 2  # an end token of this number in a config is a mistake of old: such towers read at the highest number


def check_texts(name: str, texts: Collection[str], what: str = "") -> None:
    """Accept a collection, in its own order, of one or more texts that are not blank.

    what     the members, in a word
    raises   ValueError, quoting it, for a bare string, none, or a blank text; TypeError for what is no collection, and
             for a member that is no text
    """
    if isinstance(texts, str | bytes) or (isinstance(texts, Sequence) and not len(texts)):
        raise ValueError(f"{name} = {texts!r}: a list of at least one {what + ' ' * bool(what)}is needed")
    if getattr(texts, "ndim", None) != 1 and not isinstance(texts, Sequence):  # a row of numpy or pandas, or a list
        check_kind(name, texts, (list, tuple), "list of texts")
    if not len(texts):
        raise ValueError(f"{name} is empty: a list of at least one is needed")
    for number, text in enumerate(texts):
        check_kind(f"{name}[{number}]", text, str, "text")
        if not text.strip():
            raise ValueError(f"{name}[{number}] = {text!r}: a text with at least one character is needed")


def check_names(names: Collection[str], what: str = "names") -> None:
    """Accept names of classes, or words, each another.

    what     they are called
    raises   ValueError, quoting it, for a name that is there twice, and what `check_texts` raises
    """
    check_texts(what, names)
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if seen.setdefault(name, number) != number:
            raise ValueError(f"{what}[{seen[name]}] and {what}[{number}] are both {name!r}: each must be another")


def check_apart(tokenizer: Any, names: Collection[str], texts: Collection[str]) -> None:
    """Accept names of classes, one text of each, whose texts differ to the model.

    raises   ValueError, naming both, for two of the same tokens, such as two words that the tokenizer does not know
    """
    seen: dict[tuple[int, ...], str] = {}
    for name, ids in zip(names, tokenizer([*map(str, texts)], truncation=False)["input_ids"], strict=True):
        if (other := seen.setdefault(tuple(ids), name)) != name:
            raise ValueError(f"names {other!r} and {name!r} are the same tokens: no image could tell them apart")


def check_templates(templates: Collection[str]) -> None:
    """Accept templates: texts with one {} where a name goes, and no other field.

    raises   ValueError, quoting it, for another one, and what `check_texts` raises
    """
    check_texts("templates", templates)
    for template in templates:
        try:
            fields = [field[1:] for field in Formatter().parse(template) if field[1] is not None]
        except ValueError:  # a brace without its other half
            fields = None
        if fields != [("", "", None)]:
            raise ValueError(f"template {template!r}: one {{}} is needed, where the name goes, and no other field")


def read_at(ids: Int[Tensor, "C S"], config: PretrainedConfig) -> Int[Tensor, " C"]:
    """Where CLIP's text tower of transformers reads each text.

    config   of the text tower
    """
    found = ids if config.eos_token_id == LEGACY else (ids == config.eos_token_id).int()
    return found.argmax(dim=1)


def whole(ids: Int[Tensor, "C S"], mask: Int[Tensor, "C S"], config: PretrainedConfig, end: int) -> Bool[Tensor, " C"]:
    """Whether the tower reads each text at its last token, an end, so that it has seen all of it, and no more.

    mask     1 where there is a token of the text, 0 where there is padding
    end      the tokenizer's end token
    """
    places = read_at(ids, config)
    ahead = mask.cumprod(dim=1).sum(dim=1)  # tokens before any padding
    return (places == mask.sum(dim=1) - 1) & (ahead - 1 == places) & (ids.gather(1, places[:, None])[:, 0] == end)


def tokens(
    tokenizer: Any, texts: Collection[str], config: PretrainedConfig, longest: int, name: str
) -> dict[str, Int[Tensor, "C S"]]:
    """Texts as a model's text tower takes them.

    config    of the whole model
    longest   tokens that it reads
    name      of the model
    raises    ValueError, quoting it, for a text that is longer, one of which no token is left, or one that the tower
              would not read at its end
    """
    # SigLIP was trained on texts that are padded to one length, and reads the last token.
    siglip = config.model_type == "siglip"
    padding = {"padding": "max_length", "max_length": longest} if siglip else {"padding": True}
    # The blank one at the end shows what a text without any token looks like.
    found = tokenizer([*map(str, texts), ""], **padding, truncation=False, return_tensors=None)
    counts = [len(ids) for ids in found["input_ids"]]
    if max(counts) > longest:
        lengths = [len(ids) for ids in tokenizer([*map(str, texts)], truncation=False)["input_ids"]]
        number = max(range(len(lengths)), key=lengths.__getitem__)
        raise ValueError(f"{texts[number]!r}: more than the {longest} tokens that {name} reads")
    found = {key: torch.tensor(rows) for key, rows in found.items()}
    ids, blank = found["input_ids"][:-1], found["input_ids"][-1]
    for number in (ids == blank).all(dim=1).nonzero()[:, 0].tolist():
        raise ValueError(f"texts[{number}] = {texts[number]!r}: {name} has no token for it")
    if not siglip:
        right = whole(ids, found["attention_mask"][:-1], config.text_config, tokenizer.eos_token_id)
        for number in (~right).nonzero()[:, 0].tolist():
            raise ValueError(
                f"texts[{number}] = {texts[number]!r}: {name} would not read it at its end, which is token "
                f"{config.text_config.eos_token_id} in its config, {tokenizer.eos_token_id} in its tokenizer, "
                f"{tokenizer.eos_token!r}"
            )
    return {key: rows[:-1] for key, rows in found.items()}
