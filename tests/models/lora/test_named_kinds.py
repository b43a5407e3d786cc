"""Several adapters of one model, of several kinds: those that leave the frozen weights switch exactly."""

import adapting
import pytest
import torch
from refusals import refused
from torch.testing import assert_close

from lib.models.lora.layers import add_lora
from lib.models.lora.named import NamedAdapters


def test_kinds_that_leave_the_frozen_weights_switch_exactly():
    found, x, plain = NamedAdapters(adapting.net()), adapting.inputs(), adapting.net()
    for name in ("rslora", "dora"):
        found.add(name, "0|2", 3, 6.0, adapter=name, generator=torch.Generator().manual_seed(0))
        adapting.shaken(found.model)
    for name in ("rslora", "dora"):
        found.use(name)
        other = adapting.net()
        add_lora(other, "0|2", 3, 6.0, adapter=name, generator=torch.Generator().manual_seed(0))
        assert torch.equal(found.model(x), adapting.shaken(other)(x))
    found.use(None)
    assert torch.equal(found.model(x), plain(x))


def test_kinds_come_back_from_their_folders(tmp_path):
    found, x = NamedAdapters(adapting.net()), adapting.inputs()
    for name in ("rslora", "dora"):
        found.add(name, "0|2", 3, 6.0, adapter=name)
        adapting.shaken(found.model)
    found.save(tmp_path / "all")
    again = NamedAdapters(adapting.net())
    for name in ("rslora", "dora"):
        again.load(name, tmp_path / "all" / name)
        found.use(name)
        assert torch.equal(again.model(x), found.model(x))


@pytest.mark.limit(
    "lora",
    "PiSSA among several adapters of one model, and DoRA in a mix of adapters",
    "PiSSA changes the frozen weights, which all adapters share: save it, and load the plain adapter that the file "
    "holds. DoRA's effect is no product of two matrices: merge it, or mix adapters of A and B alone.",
)
def test_kinds_that_cannot_share_or_mix_are_refused():
    found = NamedAdapters(adapting.net())
    with refused("adapter = 'pissa': one of lora, rslora, lora_plus, dora is needed"):
        found.add("first", "0", 3, 6.0, adapter="pissa")
    found.add("lengths", "0|2", 3, 6.0, adapter="dora")
    with refused("lengths is of Decomposed: only A and B alone can be mixed"):
        found.mix("both", {"lengths": 1.0})


def test_a_mix_of_two_scales_is_the_sum_of_the_effects():
    found, x, plain = NamedAdapters(adapting.net()), adapting.inputs(), adapting.net()
    for name in ("lora", "rslora"):
        found.add(name, "0", 3, 6.0, adapter=name)
        layer = adapting.shaken(found.model)[0]
        plain[0].weight.data += {"lora": 2.0, "rslora": 6.0 / 3**0.5}[name] * (layer.B @ layer.A).detach()
    found.mix("both", {"lora": 1.0, "rslora": 1.0})
    assert_close(found.model(x), plain(x))
