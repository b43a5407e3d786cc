"""CLIP, and where its image tower loses tokens. Source: Radford et al. (2021), https://arxiv.org/abs/2103.00020."""

from lib.report.diagrams.drawing import Drawing, Kind

PATCHES, LAYERS = 16, 6
ALT = (
    "CLIP's two towers. On the left an image of 16 patches becomes a class token and 16 patch tokens, which pass six "
    "layers; on the right a prompt passes a text tower. Both end in one embedding, and their cosine says how well "
    "they match. Beside the image tower three ways to have half of the patches: the L2 norm chooses before the first "
    "layer; class attention chooses in the second; merging in rounds takes some before the first layer and some in "
    "every layer."
)
WAYS: dict[str, list[int]] = {  # patches that enter each layer, then what leaves the last
    "norm": [8] * 7,
    "class attention": [16, 16, 8, 8, 8, 8, 8],
    "merging in rounds": [14, 13, 12, 11, 10, 9, 8],
}


def draw() -> Drawing:
    """Towers above, the ways to have fewer tokens below."""
    made = Drawing(560, "CLIP, and where tokens go")
    for row in range(4):
        made.cells(22, 14 + 19 * row, 76, ["full"] * 4, 17)
    made.note(22, 104, "16 patches")
    made.arrow((104, 52), (124, 52))
    made.box(124, 24, 112, 58, "image tower\n6 layers", "weights")
    made.box(284, 24, 96, 58, "text tower", "weights")
    made.note(428, 40, "“a photo\nof a bird”", "middle")
    made.arrow((398, 52), (382, 52))
    made.arrow((180, 82), (180, 118))
    made.arrow((340, 82), (340, 118))
    made.box(124, 118, 112, 28, "embedding")
    made.box(284, 118, 112, 28, "embedding")
    made.arrow((236, 132), (247, 132))
    made.arrow((284, 132), (273, 132))
    made.circle(260, 132, "·")
    made.note(260, 160, "cosine", "middle")
    made.text(12, 190, "tokens in each layer when half of the patches go", anchor="start", bold=True)
    made.note(476, 190, "layer", "end")
    for number, (way, counts) in enumerate(WAYS.items()):
        tower(made, 12, 208 + 116 * number, way, counts)
    return made


def tower(made: Drawing, x: float, y: float, way: str, counts: list[int]) -> None:
    """One way: a row of cells per layer, the class token first, what is no longer there dashed."""
    made.text(x, y + 8, way, anchor="start")
    for layer in range(LAYERS):
        kinds: list[Kind] = ["low", *["full"] * counts[layer], *["gone"] * (PATCHES - counts[layer])]
        made.cells(x + 140, y + 15 * layer, 300, kinds, 12)
        made.note(x + 464, y + 6 + 15 * layer, str(layer + 1), "end")
    computed = sum(1 + count for count in counts[:LAYERS])
    made.note(x, y + 52, f"{computed} of {LAYERS * (1 + PATCHES)}\ntokens computed")
