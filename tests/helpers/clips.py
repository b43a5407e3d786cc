"""A small CLIP of random weights with its tokenizer and processor, as the hub has them, for the tests."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import processors

from lib.models.clip.load import Clip
from lib.tasks.data import images
from lib.tasks.training import clips

PLAN = clips.Plan("scenes", seed=0, steps=1)
PROCESSOR, TOKENIZER = "preprocessor_config.json", "tokenizer_config.json"


def scenes(count: int = 12, seed: int = 0) -> images.Images:
    return images.rendered(count, torch.Generator().manual_seed(seed))


def clip() -> Clip:
    return clips.build(PLAN, scenes())


def folder(path: Path) -> Path:
    """One written by `lib.tasks.training.clips.keep`."""
    return clips.keep(clip(), PLAN, path, accuracy=0.5)


def copied(folder: Path, path: Path) -> Path:
    """A copy, inside another folder, that a test may change."""
    return Path(shutil.copytree(folder, path / "small"))


def siglip(path: Path) -> Path:
    """A folder with a small SigLIP: no class token, no start of a text, texts padded to one length."""
    words = clips.tokenizer([template.format(name) for name in scenes().names for template in scenes().templates])
    ends = [("<end>", words.eos_token_id)]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=ends)
    words.save_pretrained(path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(words), "max_position_embeddings": 16}
    torch.manual_seed(0)
    config = transformers.SiglipConfig(text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 8})
    transformers.SiglipModel(config).save_pretrained(path)
    transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(path)
    return path


def change(folder: Path, file: str, at: str, value: Any) -> None:
    """Set a field of a JSON file of a folder, `at` its path with dots; None takes it away."""
    path = folder / file
    whole = part = json.loads(path.read_text())
    *before, last = at.split(".")
    for key in before:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    path.write_text(json.dumps(whole))
