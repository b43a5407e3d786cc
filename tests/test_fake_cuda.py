"""The pretended GPU has right values and gradients, and refuses what a GPU refuses: each kind of fault, once."""

import copy

import numpy as np
import pytest
import torch
from cuda_tensors import OnCuda
from fake_cuda import pretended
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

AWAY = {  # a fault -> what somebody wrote, with x on cuda and y on the CPU, both (3, 4)
    "a product": lambda x, y: x @ y.T,
    "a sum": lambda x, y: x + y,
    "a comparison": lambda x, y: x == y,
    "a sum in place": lambda x, y: x.clone().add_(y),
    "a sum on the CPU in place": lambda x, y: y.clone().add_(x),
    "a mask": lambda x, y: torch.where(y > 0, x, 0.0),
    "a concatenation": lambda x, y: torch.cat([x, y]),
    "a stack": lambda x, y: torch.stack([x, y]),
    "an embedding": lambda x, y: F.embedding(torch.tensor([1]), x),
    "a gather": lambda x, y: x.gather(0, torch.zeros(1, 4, dtype=torch.long)),
    "rows by index": lambda x, y: x.index_select(0, torch.tensor([1])),
    "an index on cuda of a tensor on the CPU": lambda x, y: y[torch.tensor([1], device="cuda")],
    "values that are written": lambda x, y: x.clone().index_put_((torch.tensor([0]),), y[:1]),
    "a loss": lambda x, y: F.cross_entropy(x, torch.tensor([0, 1, 2])),
    "a layer": lambda x, y: nn.Linear(4, 2)(x),
    "a layer on cuda": lambda x, y: nn.Linear(4, 2, device="cuda")(y),
    "a norm": lambda x, y: F.layer_norm(x, (4,), torch.ones(4)),
    "an interval": lambda x, y: x * torch.arange(4),
    "a generator of the CPU": lambda x, y: torch.randn(3, device="cuda", generator=torch.Generator()),
    "a generator of cuda": lambda x, y: torch.rand(3, generator=torch.Generator("cuda")),
    "a draw in place": lambda x, y: torch.empty_like(x).uniform_(generator=torch.Generator()),
    "a draw of indices": lambda x, y: x.exp().multinomial(1, generator=torch.Generator()),
    "a comparison of a test": lambda x, y: assert_close(x, x.cpu()),
}
READ = {
    "numpy": lambda x: x.numpy(),
    "an array": lambda x: np.asarray(x),
    "an address": lambda x: x.data_ptr(),
}
KNOWN = (RuntimeError, AssertionError)


@pytest.fixture
def x():
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("fault", AWAY)
def test_what_stands_beside_another_device_is_refused(x, fault, inference):
    with pretended(), torch.inference_mode(inference), pytest.raises(KNOWN, match="device"):
        AWAY[fault](x.to("cuda"), x)


@pytest.mark.parametrize("way", READ)
def test_what_reads_memory_on_the_device_is_refused(x, way):
    with pretended(), pytest.raises((TypeError, RuntimeError), match=r"cuda|pretended"):
        READ[way](x.to("cuda"))


ALLOWED = {
    "a number": lambda x: x * torch.tensor(2.0),
    "an index": lambda x: x[torch.tensor([0, 2])],
    "a mask as index": lambda x: x[torch.tensor([True, False, True])],
    "a copy into": lambda x: torch.empty_like(x).copy_(torch.ones(3, 4)),
    "a slice that is set": lambda x: x.clone().__setitem__(slice(0, 1), torch.ones(1, 4)) or x,
    "a view": lambda x: x.flatten()[3:].view(3, 3).T,
    "a fourier transform": lambda x: torch.fft.irfft(torch.fft.rfft(x, 8).conj(), 8),
    "half precision": lambda x: x.to(torch.bfloat16).float(),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_gpu_allows_has_the_values_of_the_cpu(x, name, inference):
    with pretended(), torch.inference_mode(inference):
        found = ALLOWED[name](x.to("cuda"))
        assert found.device == torch.device("cuda", 0)
        assert found.is_cuda
        assert type(found.cpu()) is torch.Tensor
        assert_close(found.cpu(), ALLOWED[name](x), rtol=0, atol=0)


def test_values_are_there_to_be_asked_for(x):
    with pretended():
        here = x.to("cuda")
        assert here.tolist() == x.tolist()
        assert here[0, 0].item() == x[0, 0].item()
        assert f"{here[0, 0]:.2f}" == f"{x[0, 0]:.2f}"
        assert len(here.nonzero()) == 12
        assert bool((here == here).all())


def trained(device):
    """A small layer's loss, gradients and weights after one step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).to(device)
    twin = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    loss = model(torch.ones(5, 4, device=device)).square().mean()
    loss.backward()
    grads = [weight.grad.cpu().clone() for weight in model.parameters()]
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimiser.step()
    assert not torch.equal(twin[0].weight.cpu(), model[0].weight.cpu())
    return [loss.detach().cpu(), *grads, *(weight.detach().cpu() for weight in model.parameters())]


def test_a_training_step_is_that_of_the_cpu():
    wanted = trained("cpu")
    with pretended():
        assert_close(trained("cuda"), wanted)


def test_weights_and_generators_say_where_they_are(x):
    with pretended():
        layer = nn.Linear(4, 2).to("cuda")
        assert isinstance(layer.weight, nn.Parameter)
        assert layer.half().weight.device.type == layer.half().cuda().weight.device.type == "cuda"
        assert torch.Generator("cuda").device.type == "cuda"
        assert torch.Generator().device.type == "cpu"
        drawn = torch.randn(3, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
        assert type(drawn) is OnCuda
        assert layer.cpu().weight.device.type == "cpu"


def test_autocast_multiplies_in_half_precision(x):
    with pretended(), torch.autocast("cuda", torch.float16):
        layer = nn.Linear(4, 2, device="cuda")
        assert layer(x.to("cuda")).dtype == (x.to("cuda") @ layer.weight.T).dtype == torch.float16


def test_nothing_is_left_behind(x):
    before = torch.cuda.is_available(), torch.Generator, torch.cuda.synchronize
    with pretended():
        assert torch.cuda.is_available()
        assert torch.cuda.get_device_name() == "a pretended GPU"
    assert before == (torch.cuda.is_available(), torch.Generator, torch.cuda.synchronize)
    assert type(x + 1) is torch.Tensor
