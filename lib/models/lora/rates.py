"""Learning rates of adapters whose matrices learn at several: parameter groups for any optimiser of torch."""

from torch import Tensor, nn

from lib.models.checks import check_number
from lib.models.lora.linear import adapters
from lib.models.lora.targets import uncompiled


def parameter_groups(
    model: nn.Module, rate: float, ratio: float | None = None
) -> list[dict[str, list[Tensor] | float]]:
    """Parameter groups of all that learns in a model: `torch.optim.AdamW(parameter_groups(model, rate=1e-4))`.

    rate     of A, and of all that is no adapter
    ratio    of the rate of B to it, for every adapter; where left out, the one of the adapter's kind: 16 of "lora_plus"
             and 1 of others
    returns  one group per rate, the rate itself first
    raises   ValueError for a rate or a ratio that is not above 0, and for a model of which nothing learns
    source   Hayou et al. (2024), https://arxiv.org/abs/2402.12354
    """
    check_number("rate", rate, above=0)
    if ratio is not None:
        check_number("ratio", ratio, above=0)
    model = uncompiled(model)
    shares = {}
    for _, layer in adapters(model):
        own = layer.SHARES if ratio is None else {"B": ratio}
        shares |= {id(getattr(layer, name)): share for name, share in own.items()}
    groups: dict[float, list[Tensor]] = {1.0: []}
    for weight in model.parameters():
        if weight.requires_grad:
            groups.setdefault(shares.get(id(weight), 1.0), []).append(weight)
    if not any(groups.values()):
        raise ValueError(f"{type(model).__name__}: no weight requires a gradient, so that nothing can learn")
    return [{"params": weights, "lr": share * rate} for share, weights in groups.items() if weights]
