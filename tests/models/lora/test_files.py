"""Adapters go to peft and come from it: the same outputs and merged weights, to the last bit."""

import json

import adapting
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from refusals import refused
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close

from lib.files.reading import UnreadableError
from lib.models.lora import files
from lib.models.lora.files import CONFIG, WEIGHTS, load_lora, save_lora
from lib.models.lora.layers import add_lora, merge_lora
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig

NAMES = ("first", "deep.second")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.deep = nn.Linear(6, 10), nn.ModuleDict({"second": nn.Linear(10, 4, bias=False)})

    def forward(self, x):
        return self.deep["second"](torch.relu(self.first(x)))


def net(dtype: torch.dtype = torch.float32) -> Net:
    return Net().to(dtype).eval()


def ours(dtype: torch.dtype = torch.float32, **options) -> Net:
    model = net(dtype)
    add_lora(model, "first|deep.second", 3, 6.0, **options)
    return adapting.shaken(model)


def theirs(model: Net) -> PeftModel:
    found = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules="first|deep.second"))
    for name, weight in found.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(generator=torch.Generator().manual_seed(3))
    return found.eval()


def inputs(dtype: torch.dtype = torch.float32):
    return adapting.inputs(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_peft_loads_ours_and_says_the_same_bits(tmp_path, dtype):
    model, x = ours(dtype), inputs(dtype)
    loaded = PeftModel.from_pretrained(net(dtype), save_lora(model, tmp_path / "a")).eval()
    assert torch.equal(loaded(x), model(x))
    merge_lora(model)
    merged = loaded.merge_and_unload()
    assert torch.equal(merged.first.weight, model.first.weight)
    assert torch.equal(merged.deep["second"].weight, model.deep["second"].weight)


def test_we_load_what_peft_saves_and_say_the_same_bits(tmp_path):
    model, x, mine = theirs(net()), inputs(), net()
    model.save_pretrained(tmp_path)
    assert load_lora(mine, tmp_path) == list(NAMES)
    assert torch.equal(mine(x), model(x))


def test_a_weight_that_is_read_is_told_and_acts_in_peft_once_it_is_merged(tmp_path):
    def block():
        return MambaBlock(MambaConfig(6, 1, states=3, rank=3), generator=torch.Generator().manual_seed(0)).eval()

    model, x = block(), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    adapting.add(model, "(dt|x)_proj", 2, 4.0)
    wanted = model(x)
    with pytest.warns(UserWarning, match="^the weight of dt_proj is read by the model: in peft, merge before use$"):
        save_lora(model, tmp_path)
    loaded = PeftModel.from_pretrained(block(), tmp_path).eval().merge_and_unload()
    merge_lora(model)
    assert torch.equal(loaded(x), model(x))
    assert_close(loaded(x), wanted)


def test_layers_that_are_called_are_saved_without_a_word(tmp_path, recwarn):
    model = ours()
    model(inputs())
    save_lora(model, tmp_path)
    assert not recwarn


def test_a_folder_comes_whole_and_takes_the_place_of_an_older_one_of_adapters(tmp_path):
    save_lora(ours(), tmp_path / "a")
    before = (tmp_path / "a" / WEIGHTS).read_bytes()
    (tmp_path / "a" / "README.md").touch()  # peft's model card
    save_lora(adapting.shaken(ours(), seed=9), tmp_path / "a")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", CONFIG, WEIGHTS]
    assert (tmp_path / "a" / WEIGHTS).read_bytes() != before


def test_no_folder_of_other_things_is_replaced_and_no_file(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path, "."):
        with refused(f"{tmp_path}: holds thesis.txt, which would be lost", FileExistsError):
            save_lora(ours(), place)
    with refused(f"{tmp_path / 'thesis.txt'}: a file; a folder is needed", FileExistsError):
        save_lora(ours(), tmp_path / "thesis.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["years of work"]


def test_what_cannot_be_written_is_refused_and_leaves_the_older_one(tmp_path):
    save_lora(ours(), tmp_path / "a")
    before = (tmp_path / "a" / WEIGHTS).read_bytes()
    with refused("Net has no adapters: add_lora makes them"):
        save_lora(net(), tmp_path / "a")
    model = net()
    add_lora(model, "first", 3, 6.0)
    add_lora(model, "deep.second", 2, 6.0)
    with refused(
        "adapters of rank 2, alpha 6.0, dropout 0.0, LoraLinear; rank 3, alpha 6.0, dropout 0.0, LoraLinear: one kind"
    ):
        save_lora(model, tmp_path / "a")
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == before


def test_a_full_disk_leaves_the_older_one_and_nothing_else(tmp_path, monkeypatch):
    save_lora(ours(), tmp_path / "a")
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}

    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_file", full)
    for place in ("a", "b"):
        with pytest.raises(OSError, match="No space left"):
            save_lora(adapting.shaken(ours(), seed=9), tmp_path / place)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def changed(folder, **fields):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type = 'IA3': LORA is needed"),
        ({"r": None}, "r = None: a finite number, more than 0, is needed"),
        ({"lora_alpha": 0}, "lora_alpha = 0: more than 0 is needed"),
        ({"use_dora": True, "use_rslora": True}, "use_dora = True: False is needed beside use_rslora = True"),
        ({"use_dora": 2}, "use_dora = 2: False is needed"),
        ({"use_dora": True, "init_lora_weights": "pissa"}, "init_lora_weights = 'pissa' beside use_dora = True: known"),
        ({"bias": "all"}, "bias = 'all': 'none' is needed"),
        ({"rank_pattern": {"first": 4}}, "rank_pattern = {'first': 4}: {} is needed"),
        ({"modules_to_save": ["first"]}, "modules_to_save = ['first']: None is needed"),
    ],
)
def test_adapters_of_no_known_kind_are_refused(tmp_path, fields, said):
    save_lora(ours(), tmp_path)
    changed(tmp_path, **fields)
    with refused(f"{tmp_path / CONFIG}: {said}"):
        load_lora(net(), tmp_path)


def test_files_that_are_missing_or_broken_are_named(tmp_path):
    with refused(f"{tmp_path / CONFIG}: no such file", FileNotFoundError):
        load_lora(net(), tmp_path)
    save_lora(ours(), tmp_path / "a")
    (tmp_path / "a" / WEIGHTS).write_bytes(b"{")
    with refused(f"{tmp_path / 'a' / WEIGHTS}: not readable"):
        load_lora(net(), tmp_path / "a")
    (tmp_path / "a" / CONFIG).write_text("{")
    with refused(f"{tmp_path / 'a' / CONFIG}: not readable as JSON", UnreadableError):
        load_lora(net(), tmp_path / "a")


def test_layers_that_do_not_fit_are_named(tmp_path):
    save_lora(ours(), tmp_path)
    place = tmp_path / WEIGHTS
    with refused(f"{place}: adapts deep.second, which Sequential lacks"):
        load_lora(nn.Sequential(), tmp_path)
    wider = net()
    wider.first = nn.Linear(7, 10)
    with refused(f"{place}: the matrices of first are not of shapes (3, 7), (10, 3)"):
        load_lora(wider, tmp_path)
    tensors = load_file(place)
    save_file(tensors | {"base_model.model.first.bias": torch.zeros(10)}, place)
    with refused(f"{place}: base_model.model.first.bias is no adapter of a linear layer"):
        load_lora(net(), tmp_path)
    for left in ({}, {key: value for key, value in tensors.items() if key != "base_model.model.first.lora_B.weight"}):
        save_file(left, place)
        with refused(f"{place}: A and B of at least one layer"):
            load_lora(net(), tmp_path)


def test_adapters_of_what_is_not_linear_are_refused_in_words(tmp_path):
    save_lora(ours(), tmp_path)
    model = net()
    model.first = nn.Embedding(6, 10)
    with refused("first is of type Embedding, not Linear"):
        load_lora(model, tmp_path)
    model = ours()
    with refused("first has an adapter: merge it first"):
        load_lora(model, tmp_path)
