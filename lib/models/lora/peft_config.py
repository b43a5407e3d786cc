"""What peft's adapter_config.json may say of adapters that are A and B and nothing more, field by field.

Most fields of peft's add something that is in no file, or that A and B do not hold: another scale, other base weights,
a magnitude, a router. What is listed here is known to leave W x + (alpha / r) B A x as it is; all else is refused.

Source: https://huggingface.co/docs/peft/package_reference/lora, peft 0.17 to 0.21.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib.files.reading import read_json
from lib.models.checks import check_choice, check_count, check_number

PLAIN = {  # what an adapter of ours is, in the words of peft's configuration
    "use_dora": False,
    "use_rslora": False,
    "bias": "none",
    "lora_bias": False,
    "fan_in_fan_out": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
}
STARTS = (True, False, "gaussian", "orthogonal")  # that leave the base weights as they are
USED = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "init_lora_weights")
SAID = (  # of an origin or of a training, of no meaning for what is computed
    *("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"),
    *("megatron_core", "qalora_group_size"),  # of features whose switches are off
)


def described(r: int, alpha: float, dropout: float, names: Iterable[str]) -> dict[str, Any]:
    """Describe plain adapters on the layers of these names, as peft's configuration does."""
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "init_lora_weights": True,
        "target_modules": "|".join(map(re.escape, names)),
        "inference_mode": True,
        **PLAIN,
    }


def read(path: Path) -> dict[str, Any]:
    """Read a description of plain adapters.

    raises   ValueError, naming file, field and value, for what is no JSON and for a field that says more than that
    """
    config = read_json(path)
    if not isinstance(config, dict):
        raise ValueError(f"{path}: of type {type(config).__name__}, an object of fields is needed")
    check_choice(f"{path}: peft_type", config.get("peft_type"), ["LORA"])
    for name in ("r", "lora_alpha"):
        check_number(f"{path}: {name}", config.get(name), above=0)
    check_count(f"{path}: r", config["r"])
    config.setdefault("lora_dropout", 0.0)
    check_number(f"{path}: lora_dropout", config["lora_dropout"], 0, below=1)
    for name, plain in PLAIN.items():
        if config.get(name, plain) not in (plain, None):
            raise ValueError(f"{path}: {name} = {config[name]!r}: {plain!r} is needed, adapters here are plain")
    start = config.get("init_lora_weights", True)
    if start not in STARTS:
        raise ValueError(
            f"{path}: init_lora_weights = {start!r}: known are {', '.join(map(str, STARTS))}; others change the "
            "base weights, and peft saves plain adapters with path_initial_model_for_weight_conversion"
        )
    for name in sorted(config.keys() - {*USED, *PLAIN, *SAID}):
        if not _off(config[name]):
            raise ValueError(f"{path}: {name} = {config[name]!r}: not known here; None is needed, adapters are plain")
    return config


def selects(config: dict[str, Any], name: str) -> bool:
    """Whether peft would give the layer of this name an adapter: a regular expression, or ends of names."""
    return _matches(config.get("target_modules"), name) and not _matches(config.get("exclude_modules"), name)


def _off(value: object) -> bool:
    """How peft says that a feature is not used, those of versions to come among them."""
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _matches(rule: object, name: str) -> bool:
    if isinstance(rule, str):
        return bool(rule) and re.fullmatch(rule, name) is not None
    return any(name == end or name.endswith(f".{end}") for end in rule or ())
