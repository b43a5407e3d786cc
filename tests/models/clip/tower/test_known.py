"""A tower is what transformers wrote as one, unchanged; whatever else looks like one is refused when it is made."""

import copy
from functools import partial

import peft
import pytest
import torch
import transformers
from refusals import refused
from torch import nn
from towers import KINDS, SIZES, images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.original import OriginalPruning

SMALL = {**SIZES, "num_hidden_layers": 1, "image_size": 16, "patch_size": 8}
NEEDED = (
    "a vision tower of transformers is needed, one of CLIPVisionModel, SiglipVisionModel, MetaClip2VisionModel, "
    "CLIPSegVisionModel, Dinov2Model, Dinov2WithRegistersModel, ViTModel, DeiTModel"
)
UNKNOWN = "BlipVision Blip2Vision InstructBlipVision XCLIPVision AltCLIPVision ChineseCLIPVision Aimv2Vision ViTMSN"


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.limit(
    "clip",
    "A vision model whose code is not known, such as BLIP's, for token reduction",
    "Its layers may do what a reduced tower does not know. The message lists the towers that are known.",
)
@pytest.mark.parametrize("name", UNKNOWN.split())
def test_models_with_parts_like_a_towers_are_none(name):
    config = getattr(transformers, f"{name}Config")
    with torch.device("meta"):
        model = getattr(transformers, f"{name}Model")
        model = model(config(**{size: value for size, value in SMALL.items() if hasattr(config(), size)}))
    for reduction in (partial(reduce_tokens, method="norm", keep=0.5), OriginalPruning):
        with pytest.raises(TypeError, match=f"^{type(model).__name__} is none that is known: {NEEDED}"):
            reduction(model)


def whole(kind):
    """A model of images and texts."""
    config = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind]
    config = config(vision_config={**SMALL, "projection_dim": 8}, text_config={**SIZES, "vocab_size": 9})
    return transformers.AutoModel.from_config(config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_model_is_no_tower_and_is_told_where_its_tower_is(kind):
    model = whole(kind)
    with refused(f"{type(model).__name__} is none that is known: {NEEDED}; its .vision_model is", TypeError):
        reduce_tokens(model, "norm")
    with refused(f"{type(model.text_model).__name__} is none that is known: {NEEDED}", TypeError):
        reduce_tokens(model.text_model, "norm")
    assert reduce_tokens(model.vision_model, "norm")


def adapted():
    return peft.get_peft_model(tower(), peft.LoraConfig(target_modules=["q_proj"]))


@pytest.mark.limit(
    "clip",
    "A wrapped tower (torch.compile, DataParallel, a model of peft) for token reduction",
    "The wrapper's own work would be lost. Reduce the tower inside it, then wrap the reduced one.",
)
@pytest.mark.parametrize(
    ("wrapped", "inside"),
    [
        (lambda: torch.compile(tower()), "_orig_mod"),
        (lambda: nn.DataParallel(tower()), "module"),
        (adapted, "base_model.model"),
        (lambda: transformers.CLIPVisionModelWithProjection(tower().config), "vision_model"),
    ],
)
def test_a_wrapper_is_no_tower_and_is_told_where_its_tower_is(wrapped, inside):
    model = wrapped()
    with pytest.raises(TypeError, match=rf"^{type(model).__name__}.*: {NEEDED}; its \.{inside} is one$"):
        reduce_tokens(model, "norm")
    for name in inside.split("."):
        model = getattr(model, name)
    assert reduce_tokens(model, "norm")


class Same(transformers.CLIPVisionModel):
    """One with another name."""


class Louder(transformers.CLIPVisionModel):
    def forward(self, pixel_values, **options):
        return super().forward(2 * pixel_values, **options)


class Attentive(transformers.models.clip.modeling_clip.CLIPAttention):
    def forward(self, hidden_states, attention_mask=None, **options):
        return super().forward(2 * hidden_states, attention_mask, **options)


def test_a_subclass_that_changes_nothing_is_a_tower():
    model = Same(tower().config).double().eval()
    assert torch.equal(reduce_tokens(model, "merge")(images())[1], model(images())[1])


@pytest.mark.limit(
    "clip",
    "A tower with a changed forward, of its own or of its layers, for token reduction",
    "A reduced tower does parts of that work itself, as transformers wrote it. Change the reduced tower instead.",
)
@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("", lambda model: setattr(model, "forward", partial(model.forward, interpolate_pos_encoding=True))),
        ("", lambda model: setattr(model, "__class__", Louder)),
        ("embeddings", lambda model: setattr(model.embeddings, "forward", model.embeddings.forward)),
        ("encoder", lambda model: setattr(model.encoder, "forward", model.encoder.forward)),
        ("encoder.layers.1", lambda model: setattr(model.encoder.layers[1], "forward", lambda x, mask: (x,))),
        ("encoder.layers.2", lambda model: model.encoder.layers.__setitem__(2, nn.Identity())),
        (
            "encoder.layers.0.self_attn",
            lambda model: setattr(model.encoder.layers[0].self_attn, "__class__", Attentive),
        ),
    ],
)
def test_a_tower_with_a_changed_forward_is_refused_and_stays_as_it_was(path, change):
    model = tower()
    change(model)
    before, kind = copy.deepcopy(model.state_dict()), type(model)
    with pytest.raises(
        TypeError, match=rf"^{kind.__name__} {f'with {path} changed' if path else 'has another forward'}.*: {NEEDED}"
    ):
        reduce_tokens(model, "norm", 0.5)
    same(before, model.state_dict())
    assert type(model) is kind


def test_a_pooling_head_that_is_another_is_refused():
    model = tower("siglip")
    model.head = nn.Linear(32, 32)
    with refused(f"SiglipVisionModel with head changed, of type Linear: {NEEDED}", TypeError):
        reduce_tokens(model, "norm")


def test_a_tower_without_layers_is_none():
    with refused(f"CLIPVisionModel without layers: {NEEDED}", TypeError):
        reduce_tokens(tower(num_hidden_layers=0), "norm")


@pytest.mark.parametrize("given", [None, 3, "openai/clip-vit-base-patch32", tower().config])
def test_what_is_no_model_is_none(given):
    with refused(f"{type(given).__name__} is none that is known: {NEEDED}", TypeError):
        reduce_tokens(given, "norm")
    with refused(f"{type(given).__name__} is none that is known: {NEEDED}", TypeError):
        OriginalPruning(given)


@pytest.mark.limit(
    "clip",
    "Hooks on a layer, or on its attention, inside which tokens merge or are pruned",
    "The layer is computed by its parts, so that they would not run. Remove them, or hook its MLP or its norms.",
)
@pytest.mark.parametrize("part", [lambda layer: layer, lambda layer: layer.self_attn])
@pytest.mark.parametrize(
    "register", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"]
)
def test_hooks_that_would_not_run_are_refused(part, register):
    model, x = tower(), images()
    reduced, where = reduce_tokens(model, "merge", 0.5), part(model.encoder.layers[0])
    hook = getattr(where, register)(lambda *_: None)
    for attempt in (lambda: reduced(x), lambda: reduce_tokens(model, "merge", 0.5)):
        with refused(f"hooks on a {type(where).__name__} would not run where tokens go inside: remove them", TypeError):
            attempt()
    assert reduce_tokens(model, "norm", 0.5)(x)[1].isfinite().all()  # its layers are called
    assert reduce_tokens(model, "merge", 1.0)(x)[1].isfinite().all()
    hook.remove()
    assert reduced(x)[1].isfinite().all()


def test_a_forward_that_is_replaced_later_is_refused_where_it_would_not_run():
    model, x = tower(), images()
    reduced = reduce_tokens(model, "merge", schedule=[0, 8, 0])
    wanted = reduced(x).pooler_output
    first, second = model.encoder.layers[:2]
    first.forward = first.forward  # as wrappers of others do, which call the old one
    assert torch.equal(reduced(x).pooler_output, wanted)  # called as a whole, it runs
    second.self_attn.forward = second.self_attn.forward
    with refused("a CLIPAttention with another forward, which would not run where tokens go inside", TypeError):
        reduced(x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tower_of_other_linear_layers_is_one(kind):
    model, x = tower(kind, dtype=torch.float32), images(dtype=torch.float32)
    linear = model.encoder.layers[0].self_attn.q_proj

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    linear.__class__ = Doubled
    assert torch.equal(reduce_tokens(model, "merge")(x)[1], model(x)[1])
    other = tower(kind, dtype=torch.float32)
    with torch.no_grad():
        other.encoder.layers[0].self_attn.q_proj.weight.mul_(2)
        other.encoder.layers[0].self_attn.q_proj.bias.mul_(2)
    assert torch.equal(*(reduce_tokens(one, "merge", 0.5)(x).pooler_output for one in (model, other)))


@pytest.fixture
def calling(monkeypatch):
    """Layers are called as in transformers 5.17, whose own `__call__` decides on checkpointing."""
    layer = transformers.modeling_layers.GradientCheckpointingLayer
    monkeypatch.setattr(layer, "__call__", lambda self, *a, **k: nn.Module.__call__(self, *a, **k), raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_releases_of_transformers_call_in_another_way_are_known(calling, kind):
    model, pixels = tower(kind), images()
    with torch.no_grad():
        assert torch.equal(reduce_tokens(model, "merge", keep=1.0)(pixels).pooler_output, model(pixels).pooler_output)


def test_a_layer_with_a_call_of_its_own_is_refused(calling):
    model = tower("clip")
    layer = type(model.encoder.layers[0])
    model.encoder.layers[0].__class__ = type("Twice", (layer,), {"__call__": lambda self, x, **k: 2 * self.forward(x)})
    with pytest.raises(TypeError, match=r"with encoder\.layers\.0 changed, of type Twice"):
        reduce_tokens(model, "merge", keep=0.5)
