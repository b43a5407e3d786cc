"""Floating-point operations of a vision transformer by its parts, counted on paper for one image.

A multiply-add counts as two; element-wise work is left out, and so are the heads by which SigLIP and ViT pool.
Symbols: `lib/__init__.py`.
"""

from collections.abc import Sequence

from transformers import PretrainedConfig

from lib.models.checks import check_choice, check_count

CLASSES = {  # type of a tower that is known -> tokens before its patches, registers apart
    "clip_vision_model": 1,
    "siglip_vision_model": 0,
    "metaclip_2_vision_model": 1,
    "clipseg_vision_model": 1,
    "dinov2": 1,
    "dinov2_with_registers": 1,
    "vit": 1,
    "deit": 2,
}
PARTS = ("patches", "projections", "attention", "MLP")


def patches(config: PretrainedConfig, side: int | None = None) -> int:
    """Number of patches of a square image.

    side     of the image in pixels; the model's own where left out
    raises   ValueError, quoting it, for a side that is shorter than a patch's
    """
    if side is not None:
        check_count("side", side, config.patch_size)
    return ((side or config.image_size) // config.patch_size) ** 2


def vision_flops(
    config: PretrainedConfig,
    seen: Sequence[tuple[int, int]] | None = None,
    side: int | None = None,
    class_row_only: bool = False,
) -> dict[str, int]:
    """Floating-point operations of a vision tower for one image, by part.

    config          of a vision tower of a kind in CLASSES
    seen            tokens in each layer's attention, and in its MLP, as `seen` of a reduced tower has them; where left
                    out all of them, everywhere
    side            of the image in pixels; the model's own where left out
    class_row_only  of the last layer, the class token alone is computed
    returns         operations by name of PARTS. patches: their embedding; projections: queries, keys, values, output;
                    attention: products between tokens
    raises          ValueError, quoting it, for the configuration of another model, and for a side as `patches`
    """
    check_choice("config.model_type", config.model_type, CLASSES)
    width, layers = config.hidden_size, config.num_hidden_layers
    count = patches(config, side)
    if seen is None:
        tokens = count + CLASSES[config.model_type] + getattr(config, "num_register_tokens", 0)
        seen = [(tokens, tokens)] * (layers - class_row_only) + [(tokens, 1)] * class_row_only
    found = dict.fromkeys(PARTS, 0)
    found["patches"] = 2 * count * config.num_channels * config.patch_size**2 * width
    for number, (keys, after) in enumerate(seen):
        queries = 1 if class_row_only and number == layers - 1 else keys
        found["projections"] += 2 * width**2 * 2 * (keys + queries)
        found["attention"] += 2 * 2 * queries * keys * width
        found["MLP"] += 2 * after * width * _hidden(config)
    return found


def _hidden(config: PretrainedConfig) -> int:
    """Numbers that a token's MLP computes inside, and reads, in all."""
    if not hasattr(config, "mlp_ratio"):
        return 2 * config.intermediate_size
    hidden = int(config.hidden_size * config.mlp_ratio)
    if not config.use_swiglu_ffn:
        return 2 * hidden
    return 3 * ((int(hidden * 2 / 3) + 7) // 8 * 8)  # two thirds, rounded up to 8, twice computed and once read
