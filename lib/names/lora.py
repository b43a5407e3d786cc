"""Low-rank adapters: what each makes of LoRA's two matrices."""

from lib.names.rows import Method

_KINDS = "lib.models.lora.kinds"
ADAPTERS = {  # kinds of low-rank adapters, by the name that `add_lora` takes
    "lora": Method("LoRA", f"{_KINDS}.lora", "W + (alpha / r) B A, where A and B learn and B begins at zero"),
    "rslora": Method("rsLoRA", f"{_KINDS}.rslora", "LoRA with the scale alpha / sqrt(r), made for larger ranks"),
    "lora_plus": Method("LoRA+", f"{_KINDS}.lora_plus", "LoRA whose B learns at a multiple of the rate of A"),
    "dora": Method("DoRA", f"{_KINDS}.dora", "the rows of LoRA's sum give directions, and their lengths learn apart"),
    "pissa": Method(
        "PiSSA", f"{_KINDS}.pissa", "A and B begin as the largest singular values and vectors of W, which leave it"
    ),
}
