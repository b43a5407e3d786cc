"""The configuration of transformers' Mamba and ours: every field is known, or refused.

Fields as transformers' MambaConfig has them (5.23), and as the folders of "state-spaces/mamba-130m-hf" have them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lib.models.ssm.mamba_block import MambaConfig

FIELDS = {  # ours to theirs
    **{"dim": "hidden_size", "layers": "num_hidden_layers", "states": "state_size", "kernel": "conv_kernel"},
    **{"rank": "time_step_rank", "vocabulary": "vocab_size", "conv_bias": "use_conv_bias", "bias": "use_bias"},
    **{"norm_eps": "layer_norm_epsilon", "expand": "expand"},
    **{name: name for name in ("time_step_min", "time_step_max", "time_step_floor")},
}
# What decides the model's output, or may, by the values that ours computes.
VALUES: dict[str, tuple] = {
    "model_type": ("mamba",),
    "hidden_act": ("silu", "swish"),
    "tie_word_embeddings": (True,),
    "rms_norm": (True, None),
    "ssm_cfg": ({}, None, {"layer": "Mamba1"}),
    "is_encoder_decoder": (False, None),
    "use_conv_bias": (True, False),
    "use_bias": (True, False),
    "quantization_config": (None,),
    "auto_map": (None,),
}
REQUIRED = ("model_type",)
# What follows from other fields.
DERIVED: dict[str, Callable[[Any], Any]] = {
    "intermediate_size": lambda of: of("expand") * of("hidden_size"),
    "d_inner": lambda of: of("expand") * of("hidden_size"),
    "d_model": lambda of: of("hidden_size"),
    "n_layer": lambda of: of("num_hidden_layers"),
}
# What decides nothing here: how weights were drawn, precision and speed of transformers, tokenizers, outputs, names.
FREE = {
    *("initializer_range", "rescale_prenorm_residual", "time_step_init_scheme", "time_step_scale"),
    "pad_vocab_size_multiple",
    *("residual_in_fp32", "fused_add_norm", "use_cache", "use_mambapy", "use_associative_scan", "dtype", "torch_dtype"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id"),
    *("architectures", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash"),
    *("_attn_implementation_autoset", "return_dict", "output_hidden_states", "output_attentions"),
    *("chunk_size_feed_forward", "id2label", "label2id", "problem_type", "task_specific_params"),
}
KNOWN = {*FIELDS.values(), *VALUES, *DERIVED, *FREE}
WRITTEN = FREE - {"dtype", "torch_dtype", "architectures", "transformers_version"}  # what a caller may set


def config_from_transformers(config, backend: str = "auto", **allowed: tuple) -> MambaConfig:
    """Our MambaConfig of a transformers.MambaConfig, or of the fields of a config.json.

    allowed  other values of fields in VALUES
    raises   ValueError, naming the field, for a model that is not a Mamba or that ours does not compute, for a field
             that is not known here; a field that is missing is what transformers takes it for
    """
    fields = dict(config) if isinstance(config, Mapping) else config.to_dict()
    for name, values in (VALUES | allowed).items():
        value = fields.get(name, None if isinstance(config, Mapping) else getattr(config, name, None))
        if (name in fields or name in REQUIRED) and not any(
            value == one and type(value) is type(one) for one in values
        ):
            raise ValueError(f"{name} = {value!r}: only {' or '.join(map(repr, values))} can be loaded")
    if not fields.keys() >= {*FIELDS.values()}:
        import transformers  # late: it takes seconds

        fields = transformers.MambaConfig.from_dict(fields).to_dict() | fields
    ours = MambaConfig(**{own: fields[name] for own, name in FIELDS.items()}, backend=backend)
    for name, value in fields.items():
        if name in DERIVED and value != (wanted := DERIVED[name](fields.__getitem__)):
            raise ValueError(f"{name} = {value!r}: {wanted} is needed, as other fields say")
        if name not in KNOWN and value is not None and value != _usual(config).get(name):
            raise ValueError(f"{name} = {value!r}: a field that is not known here; None can be loaded")
    return ours


def _usual(config: Any) -> dict:
    """What every configuration of a transformers holds by default, of which each version has others."""
    kinds = [kind for kind in type(config).__mro__ if kind.__module__ == "transformers.configuration_utils"]
    return kinds[0]().to_dict() if kinds else {}


def config_to_transformers(config: MambaConfig, **fields) -> dict:
    """Fields of a transformers.MambaConfig; `fields` adds to them, such as `eos_token_id`, which is none by default.

    raises   ValueError, naming it, for a field that is the model's own, or not transformers'
    """
    named = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    named |= {"hidden_act": "silu", "tie_word_embeddings": True, "residual_in_fp32": False}
    for name, value in fields.items():
        if name in WRITTEN:
            continue
        if name not in named:
            raise ValueError(f"{name} = {value!r}: one of the fields {', '.join(sorted(WRITTEN))} is needed")
        if value != named[name]:
            raise ValueError(f"{name} = {value!r}: {named[name]!r} is needed, it is the model's")
    return named | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")) | fields
