"""Small computations that decide what no record can: seconds on any machine.

`toy(name)` is the only way by which pages have one: from a constant seed, on the CPU, under the name by which
`lib.report.evidence.Evidence` has it. So its value is the same wherever it is printed, whatever a chapter's parameters.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel

from lib.experiments import artefact, clip_outcomes
from lib.experiments.artefact import CHECKPOINT, VIT
from lib.experiments.clip_cost import SIDES
from lib.experiments.lora_training import PLACES
from lib.models.clip import cost as vit_cost
from lib.models.clip import load as clip
from lib.models.lora.bottleneck import replace_linear
from lib.models.lora.layers import add_lora, trainable_report
from lib.models.mrss import proxy
from lib.models.mrss import variants as mrss
from lib.models.ssm import scan
from lib.models.ssm.mamba import MambaConfig
from lib.tasks import zero_shot
from lib.tasks.data.images import rendered

FACTORS = (1, 2, 4)  # the original report's
IMAGES = 64  # of scenes
SEED = 42  # of every toy


def proxy_operations() -> list[int]:
    """Operations of the original report's proxy at its sizes, in the order of its table."""
    return [proxy.flops(8, 8192, 512, factor=factor) for factor in (None, *FACTORS)]


def proxy_gradients(generator: torch.Generator, detach_upsample: bool = True) -> dict[int, bool]:
    """Factor -> whether a gradient reaches the low branch of a replica of the original code, or of our proxy."""
    x, found = torch.randn(1, 64, 8, generator=generator), {}
    for factor in FACTORS:
        replica = proxy.DualBranch(8, factor, taps=7, generator=generator, detach_upsample=detach_upsample)
        replica(x).sum().backward()
        found[factor] = replica.low.mix.grad is not None
    return found


def weights_without_gradient(generator: torch.Generator) -> list[str]:
    """Names of weights that no gradient reaches in the original report's form on the real scan."""
    config = mrss.proposed(MambaConfig(dim=16, layers=2), 8)["dual as wide, r = 8"]
    model = mrss.model(config, 6, 5, pooling="none", generator=generator).double()
    model(torch.randn(1, 50, 6, generator=generator, dtype=torch.float64)).square().mean().backward()
    return [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]


def superposition(generator: torch.Generator) -> dict[str, float]:
    """ "fixed" and "selective" -> how far the scan of a sum is from the sum of scans, over its largest output."""
    u = torch.rand(1, 4, 32, generator=generator, dtype=torch.float64)
    A = -torch.arange(1, 4, dtype=u.dtype).repeat(4, 1) / 4
    B, C = torch.rand(2, 4, 3, generator=generator, dtype=torch.float64)

    def fixed(v: Tensor) -> Tensor:
        return scan.selective_scan_fn(v, torch.ones_like(v) / 2, A, B, C)

    def selective(v: Tensor) -> Tensor:
        return scan.selective_scan_fn(v, v, A, v[:, :3], v[:, 1:])

    found = {}
    for kind, run in (("fixed", fixed), ("selective", selective)):
        a, b, both = run(u), run(u.flip(-1)), run(u + u.flip(-1))
        found[kind] = ((both - a - b).abs().max() / both.abs().max()).item()
    return found


def patches() -> dict[int, int]:
    """Pixels a side -> patches of ViT-B/16."""
    config = clip.known_config(VIT).vision_config
    return {side: vit_cost.patches(config, side) for side in SIDES}


def operations_by_part() -> list[dict[str, Any]]:
    """Of ViT-B/16, a row per side and part: side, part, flops."""
    config = clip.known_config(VIT).vision_config
    return [
        {"side": side, "part": part, "flops": count}
        for side in SIDES
        for part, count in vit_cost.vision_flops(config, side=side).items()
    ]


def prompts_alike(ours: clip.Clip, prompts: list[str]) -> dict[str, bool]:
    """ "start" and "end" -> whether all prompts have equal features, read at this token."""
    inputs = ours.tokenizer(prompts, padding=True, return_tensors="pt").to(ours.model.device)
    with torch.inference_mode():
        states = ours.model.text_model(**inputs).last_hidden_state
        ends = ours.text_features(prompts)
    return {
        "start": bool(torch.allclose(states[:, 0], states[:1, 0], atol=1e-4)),
        "end": bool(torch.allclose(ends, ends[:1], atol=1e-4)),
    }


def starts(name: str, generator: torch.Generator, count: int = 400) -> dict[str, float]:
    """Accuracy on scenes before the first step: "unreduced", "LoRA", "bottleneck" (the original form), and "chance".

    And "images", by which it was judged.
    """
    data = rendered(count, generator)
    found = {"unreduced": zero_shot.accuracy(clip.load(name), data), "chance": 1 / len(data.names), "images": count}
    for kind in ("LoRA", "bottleneck"):
        ours = clip.load(name)
        if kind == "LoRA":
            add_lora(ours.model, PLACES["projections"], 8, 16.0, generator=generator)
        else:
            replace_linear(ours.model, PLACES["projections"], 8, "random", generator=generator)
        found[kind] = zero_shot.accuracy(ours, data)
    return found


def encoder_bytes() -> int:
    """Of the weights of ViT-B/16 as CLIP's image encoder, in float32."""
    with torch.device("meta"):
        tower = CLIPVisionModel(clip.known_config(VIT).vision_config)
    return 4 * sum(weight.numel() for weight in tower.parameters())


def weights_of_a_projection(d: int = 512, rank: int = 8) -> dict[str, int]:
    """Beside a square projection: "counted", numbers of an adapter that learn, and "claimed", 2 d r."""
    model = nn.Sequential(nn.Linear(d, d, bias=False))
    add_lora(model, "0", rank, 2.0 * rank, generator=torch.Generator().manual_seed(0))
    return {"counted": trainable_report(model).trainable, "claimed": 2 * d * rank}


def _prompts_of_scenes(generator: torch.Generator) -> dict[str, bool]:
    data = rendered(IMAGES, generator)
    return prompts_alike(clip.load(CHECKPOINT), [data.templates[0].format(name) for name in data.names])


def _forms_on_scenes(generator: torch.Generator) -> tuple[dict[str, float], float]:
    return clip_outcomes.original_forms(clip.load(CHECKPOINT), rendered(IMAGES, generator))


TOYS: Mapping[str, Callable[[torch.Generator], Any]] = MappingProxyType(
    {
        "proxy_operations": lambda _: proxy_operations(),
        "proxy_gradients": proxy_gradients,
        "mended_gradients": partial(proxy_gradients, detach_upsample=False),
        "weights_without_gradient": weights_without_gradient,
        "superposition": superposition,
        "patches": lambda _: patches(),
        "operations_by_part": lambda _: operations_by_part(),
        "encoder_bytes": lambda _: encoder_bytes(),
        "prompts_alike": _prompts_of_scenes,
        "original_forms": _forms_on_scenes,
        "weights_of_a_projection": lambda _: weights_of_a_projection(),
        "starts": partial(starts, CHECKPOINT),
        **artefact.TOYS,
    }
)
OF_CLIP = ("patches", "operations_by_part", "encoder_bytes", "prompts_alike", "original_forms")
OF_LORA = ("starts", "weights_of_a_projection")


@cache
def toy(name: str) -> Any:
    """The value of a toy, computed once in a process.

    raises   ValueError, quoting it, for a name that is not there
    """
    if name not in TOYS:
        raise ValueError(f"toy {name!r}: there are {', '.join(TOYS)}")
    return TOYS[name](torch.Generator().manual_seed(SEED))


def every() -> dict[str, Any]:
    """All toys, by name."""
    return {name: toy(name) for name in TOYS}
