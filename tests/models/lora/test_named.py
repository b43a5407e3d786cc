"""Several adapters of one model: switching is exact, mixing is a sum of effects, and both are as in peft."""

import adapting
import pytest
import torch
from peft import PeftModel
from refusals import refused
from torch.testing import assert_close

from lib.models.lora.files import CONFIG, WEIGHTS, load_lora, save_lora
from lib.models.lora.layers import add_lora, merge_lora, unmerge_lora
from lib.models.lora.named import NamedAdapters

KINDS = {"red": ("0|2", 3, 6.0), "blue": ("2", 2, 1.0), "green": ("0", 4, 2.0)}
SINGLE = 100 * 16 * 2**-24  # peft's adapters are of float32: 16 roundings of sums whose parts are below 100 in all


def named():
    """Three adapters, of other layers, ranks and scales each; none is on."""
    found = NamedAdapters(adapting.net())
    for seed, (name, kind) in enumerate(KINDS.items()):
        found.add(name, *kind, generator=torch.Generator().manual_seed(seed))
        adapting.shaken(found.model, seed)
    found.use(None)
    return found


def alone(name):
    model = adapting.net()
    seed = list(KINDS).index(name)
    add_lora(model, *KINDS[name], generator=torch.Generator().manual_seed(seed))
    return adapting.shaken(model, seed)


def test_each_is_what_it_is_alone_to_the_last_bit_and_none_is_the_model():
    found, x = named(), adapting.inputs()
    assert found.names == list(KINDS)
    for name in ("blue", "red", "green", "green", "blue"):
        found.use(name)
        assert found.on == name
        assert torch.equal(found.model(x), alone(name)(x))
    found.use(None)
    plain = adapting.net()
    assert torch.equal(found.model(x), plain(x))
    assert [type(layer) for layer in found.model] == [type(layer) for layer in plain]
    assert repr(found.model) == repr(plain)


def test_who_holds_a_layer_elsewhere_sees_the_switch():
    found, x = named(), adapting.inputs()
    held = found.model[0]
    found.use("red")
    assert torch.equal(held(x), alone("red")[0](x))


def test_what_is_on_learns_and_the_others_keep_what_they_are():
    found, x = named(), adapting.inputs()
    found.use("blue")
    learning = [weight for weight in found.model.parameters() if weight.requires_grad]
    assert len(learning) == 2
    step = torch.optim.SGD(learning, 0.1)
    found.model(x).square().sum().backward()
    step.step()
    learned = found.model(x)
    found.use("red")
    assert torch.equal(found.model(x), alone("red")(x))
    found.use("blue")
    assert torch.equal(found.model(x), learned)
    assert not torch.equal(learned, alone("blue")(x))


def test_a_compiled_model_sees_the_switch(unchecked):
    found, x = named(), adapting.inputs()
    compiled = torch.compile(found.model, backend="eager")
    for name in ("red", None, "green", "red"):
        found.use(name)
        assert torch.equal(compiled(x), found.model(x))


def test_the_mode_and_the_precision_of_the_model_stay():
    found, x = named(), adapting.inputs(torch.float32)
    found.model.eval().float()
    found.use("red")
    assert not any(layer.training for layer in found.model.modules())
    assert found.model(x).dtype == torch.float32
    assert_close(found.model(x), alone("red")(x.double()).float())
    found.model.train()
    found.use("blue")
    assert all(layer.training for layer in found.model.modules())


@pytest.mark.parametrize("weights", [{"red": 1.0}, {"red": 0.7, "blue": -1.3}, {"green": 2.0, "blue": 0.0, "red": 1}])
def test_a_mix_is_the_sum_of_the_effects(weights):
    found, x = named(), adapting.inputs()
    found.mix("both", weights)
    plain = adapting.net()
    for name, weight in weights.items():
        for key, layer in alone(name).named_modules():
            if hasattr(layer, "A"):
                plain.get_submodule(key).weight.data += weight * layer.scale * (layer.B @ layer.A).detach()
    assert found.on == "both"
    assert_close(found.model(x), plain(x))
    merge_lora(found.model)
    assert_close(found.model(x), plain(x))


def test_peft_loads_all_of_them_switches_and_mixes_alike(tmp_path):
    found, x = named(), adapting.inputs()
    assert found.save(tmp_path / "all") == tmp_path / "all"
    theirs = PeftModel.from_pretrained(adapting.net(), tmp_path / "all" / "red", "red")
    for name in ("blue", "green"):
        theirs.load_adapter(tmp_path / "all" / name, name)
    for name in KINDS:
        theirs.set_adapter(name)
        found.use(name)
        assert_close(theirs(x), found.model(x), rtol=0, atol=SINGLE)
    theirs.add_weighted_adapter(["red", "blue"], [0.7, -1.3], "both", combination_type="cat")
    theirs.set_adapter("both")
    found.mix("both", {"red": 0.7, "blue": -1.3})
    assert_close(theirs(x), found.model(x), rtol=0, atol=SINGLE)


def test_a_folder_of_them_comes_back_with_names(tmp_path):
    found, x = named(), adapting.inputs()
    found.save(tmp_path)
    other = NamedAdapters(adapting.net())
    for name in KINDS:
        other.load(name, tmp_path / name)
    for name in KINDS:
        other.use(name)
        assert torch.equal(other.model(x), alone(name)(x))
    other.drop("red")
    other.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blue", "green"]
    (tmp_path / "thesis.txt").touch()
    with refused(f"{tmp_path}: holds thesis.txt, which would be lost", FileExistsError):
        other.save(tmp_path)


def test_one_that_cannot_be_written_leaves_the_folder_as_it_was(tmp_path):
    found = named()
    found.save(tmp_path / "all")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert sorted({path.name for path in before}) == [CONFIG, WEIGHTS]
    found.use("green")
    found.model[0].A.data[0, 0] = torch.inf
    with refused("A of 0: all of its values must be finite"):
        found.save(tmp_path / "all")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda found: found.add("red", "0", 2, 4.0), "name = 'red': a new one of letters, digits, _ and - is needed"),
        (lambda found: found.add("a.b", "0", 2, 4.0), "name = 'a.b': a new one of letters"),
        (lambda found: found.add("../x", "0", 2, 4.0), "name = '../x': a new one"),
        (lambda found: found.add("x", "1", 2, 4.0), "1 is of type GELU, not Linear"),
        (lambda found: found.use("x"), "name = 'x': one of red, blue, green, None is needed"),
        (lambda found: found.drop("x"), "name = 'x': one of red, blue, green is needed"),
        (lambda found: found.mix("x", {}), "weights: at least one adapter is needed"),
        (lambda found: found.mix("x", {"y": 1.0}), "name = 'y': one of red, blue, green is needed"),
        (lambda found: found.mix("x", {"red": float("nan")}), "weight of red = nan: a finite number"),
        (lambda found: NamedAdapters(found.model), "0 has an adapter: merge it first"),
        (lambda found: NamedAdapters(adapting.net()).save("x"), "no adapters: add or load one first"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(call, said):
    found, x = named(), adapting.inputs()
    found.use("red")
    before = found.model(x)
    with refused(said):
        call(found)
    assert (found.names, found.on) == (list(KINDS), "red")
    assert torch.equal(found.model(x), before)


def test_what_is_no_model_has_no_adapters(unchecked):
    with refused("model is of type list: a Module is needed", TypeError):
        NamedAdapters([adapting.net()])


@pytest.mark.limit(
    "lora",
    "Switching adapters by name after the model was merged, or adapted without a name",
    "The adapter that is on would be lost or counted twice. Call unmerge_lora first, or begin with an unadapted model.",
)
def test_a_model_that_was_changed_between_is_refused():
    found, x = named(), adapting.inputs()
    found.use("red")
    merged = merge_lora(found.model)
    with refused("0 is not as it was left: unmerge it, or make the adapters anew"):
        found.use("blue")
    unmerge_lora(found.model, merged)
    found.use("blue")
    assert torch.equal(found.model(x), alone("blue")(x))
    add_lora(found.model, "0", 2, 4.0)
    with refused("0 is not as it was left"):
        found.use("red")
    found = NamedAdapters(adapting.net())
    add_lora(found.model, "0", 2, 4.0)
    with refused("0 has an adapter without a name: merge it first"):
        found.add("red", "2", 2, 4.0)


def test_one_without_a_name_loads_what_a_name_has_saved(tmp_path):
    found, x, model = named(), adapting.inputs(), adapting.net()
    found.save(tmp_path)
    load_lora(model, tmp_path / "red")
    assert torch.equal(model(x), alone("red")(x))
    assert save_lora(model, tmp_path / "again") == tmp_path / "again"
