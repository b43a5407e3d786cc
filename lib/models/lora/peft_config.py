"""What peft's adapter_config.json may say of the kinds of adapters that are known here, field by field.

Most fields of peft's add something that is in no file, or that A and B do not hold: other base weights, a bias, a
router. What is listed here is known to leave W x + scale B A x as it is, or to be a row of `lib.names.ADAPTERS`; all
else is refused.

Source: https://huggingface.co/docs/peft/package_reference/lora, peft 0.17 to 0.21.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib import names
from lib.files.reading import read_json
from lib.models.checks import check_choice, check_count, check_number
from lib.models.lora.kinds import kind

PLAIN = {  # what LoRA is, in the words of peft's configuration
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


def described(
    r: int, alpha: float, dropout: float, layers: Iterable[str], fields: Mapping[str, object]
) -> dict[str, Any]:
    """Describe adapters on the layers of these names, as peft's configuration does.

    fields   of the kind, where it is not LoRA
    """
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "init_lora_weights": True,
        "target_modules": "|".join(map(re.escape, layers)),
        "inference_mode": True,
        **PLAIN,
        **fields,
    }


def read(path: Path) -> dict[str, Any]:
    """Read a description of adapters of one kind, see `adapter_of`.

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
    fields = kind(adapter_of(config)).FIELDS
    beside = "".join(f" beside {name} = {value!r}" for name, value in fields.items())
    for name, plain in (PLAIN | fields).items():
        if name in PLAIN and config.get(name, plain) not in (plain, None):
            raise ValueError(f"{path}: {name} = {config[name]!r}: {plain!r} is needed{beside}")
    start = config.get("init_lora_weights", True)
    if start not in STARTS and start != fields.get("init_lora_weights"):
        known = f"{', '.join(map(str, STARTS))}, and pissa by itself"
        raise ValueError(
            f"{path}: init_lora_weights = {start!r}{beside}: known are {known}; others change the base weights, and "
            "peft saves plain adapters with path_initial_model_for_weight_conversion"
        )
    for name in sorted(config.keys() - {*USED, *PLAIN, *SAID}):
        if not _off(config[name]):
            raise ValueError(f"{path}: {name} = {config[name]!r}: not known here; None is needed")
    return config


def adapter_of(config: Mapping[str, Any]) -> str:
    """The row of `lib.names.ADAPTERS` that a description is of: the first whose fields it has, else LoRA."""
    for name in names.ADAPTERS:
        fields = kind(name).FIELDS
        if fields and all(config.get(key) == value for key, value in fields.items()):
            return name
    return "lora"


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
