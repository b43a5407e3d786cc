"""An S4D output depends on what came before, wherever in the sequence that was, and on its own channel only."""

import torch
from precision import assert_within
from systems import every_system, sequence, system
from torch.testing import assert_close


@every_system
def test_a_later_input_gives_a_later_output(init, rule, generator):
    model = system(init, rule)
    x = sequence(generator, 30)
    shifted = torch.cat([torch.zeros_like(x[:, :7]), x[:, :-7]], dim=1)
    assert_within(model(shifted)[:, 7:], model(x)[:, :-7], 1e-12)
    assert model(shifted)[:, :7].abs().max() < 1e-12


@every_system
def test_no_output_depends_on_a_later_input(init, rule, generator):
    model = system(init, rule)
    x = sequence(generator, 20, batch=1)
    for t in (1, 10, 19):
        other = x.clone()
        other[:, t:] = sequence(generator, 20 - t, batch=1)
        assert_close(model(other)[:, :t], model(x)[:, :t], rtol=0, atol=1e-12)
        assert torch.equal(model.recurrent(other)[0][:, :t], model.recurrent(x)[0][:, :t])
        assert not torch.isclose(model(other)[:, t], model(x)[:, t]).any()


def test_a_channel_sees_no_other(generator):
    model = system()
    x = sequence(generator, 12, batch=1)
    other = x.clone()
    other[..., 1] += 1
    same = torch.isclose(model(other), model(x), rtol=0, atol=1e-12).all(dim=1)
    assert same.tolist() == [[True, False, True]]
