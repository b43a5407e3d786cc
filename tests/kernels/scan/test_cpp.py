"""What only the C++ backend can get wrong: threads, register widths, strides, memory."""

import pytest
import scans
import torch

from lib.kernels import build
from lib.kernels.scan import cpp
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref
from lib.profilers.memory import peak_bytes

MISSING = cpp.unavailable(torch.device("cpu"), torch.float32)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def inputs(batch=2, channels=40, length=70, states=9, seed=0):
    g = torch.Generator().manual_seed(seed)
    u, delta, z = (torch.randn(batch, length, channels, generator=g).transpose(1, 2) for _ in range(3))
    A = -torch.rand(channels, states, generator=g)
    B, C = (torch.randn(batch, length, states, generator=g).transpose(1, 2) for _ in range(2))
    return [u, delta, A, B, C, torch.randn(channels, generator=g), z, torch.randn(channels, generator=g)]


def run(tensors):
    leaves = [x.detach().clone().requires_grad_() for x in tensors]
    out = selective_scan_fn(*leaves, delta_softplus=True, backend="cpp")
    return [out.detach(), *torch.autograd.grad(out.square().sum(), leaves)]


@pytest.fixture
def rebuilt(monkeypatch):
    """Compile with other flags, for one test."""

    def use(*flags):
        monkeypatch.setattr(build, "OPTIONAL", (flags,))
        build.library.cache_clear()
        cpp._load.cache_clear()
        return cpp._load()

    yield use
    build.library.cache_clear()
    cpp._load.cache_clear()


@pytest.mark.parametrize("channels", [40, 257])
def test_results_do_not_depend_on_the_number_of_threads(channels):
    tensors, before = inputs(channels=channels), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(tensors)
        torch.set_num_threads(2)
        two = run(tensors)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


WIDTHS = {"baseline": ((), None), "avx2": (("-mavx2", "-mfma"), 8), "avx512": (("-mavx512f",), 16)}


@pytest.fixture(params=WIDTHS)
def width(request, rebuilt):
    """Compile for one register width, where this processor has it."""
    name, able = request.param, torch.backends.cpu.get_cpu_capability()
    if name != "baseline" and name not in able.lower() and not (name == "avx2" and able == "AVX512"):
        pytest.skip(f"this processor has {able}, not {name}")
    flags, lanes = WIDTHS[name]
    assert rebuilt(*flags).lanes() in ((lanes,) if lanes else (4, 8, 16))


@pytest.mark.usefixtures("width")
def test_every_register_width_gives_the_same():
    problem = scans.Problem(channels=40, length=70, states=9)
    scans.assert_equal(scans.run("cpp", problem.inputs(), True), *scans.definition(problem))


@pytest.mark.usefixtures("width")
def test_every_register_width_bears_huge_steps_and_gates():
    tensors = [x.abs() for x in inputs()]  # no sum cancels: each element is compared by itself
    tensors[2].neg_()
    for t, value in enumerate((1e30, -1e30, 1e4, -1e4, 100.0, -100.0, 88.0, -88.0)):
        tensors[1][:, ::2, 8 * t] = tensors[6][:, 1::2, 8 * t] = value
    exact = selective_scan_ref(*(x.double() for x in tensors), delta_softplus=True)
    found = selective_scan_fn(*tensors, delta_softplus=True, backend="cpp")
    # Of 70 tokens with two roundings each, 9 states, and some twenty more: 170 of 2^-24, all to one side.
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("width")
def test_at_every_register_width_a_step_that_forgets_all_leaves_no_gradient_of_the_decay():
    tensors = inputs()
    tensors[7][3] = 1e30  # the bias of a channel's step: all of its decays are 0
    A = tensors[2].requires_grad_()
    selective_scan_fn(*tensors, delta_softplus=True, backend="cpp").sum().backward()
    assert torch.equal(A.grad[3], torch.zeros_like(A.grad[3]))
    assert A.grad[4].abs().min() > 0


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, -1], ids=["usual", "of a GPU", "all set"])
def test_every_register_width_keeps_what_is_not_a_number(bits):
    for place, index in enumerate([(0, 3, 5), (0, 3, 5), (3, 2), (0, 2, 5), (0, 2, 5), 3, (0, 3, 5), 3]):
        tensors = inputs()
        tensors[place][index] = torch.tensor(bits, dtype=torch.int32).view(torch.float32)
        wanted = selective_scan_ref(*tensors, delta_softplus=True).isnan()
        assert wanted.any()
        assert torch.equal(selective_scan_fn(*tensors, delta_softplus=True, backend="cpp").isnan(), wanted), place


def test_without_openmp_one_thread_does_all(rebuilt):
    assert rebuilt("-march=native").threaded() == 0
    assert "no OpenMP" in cpp.about()
    assert run(inputs())[0].isfinite().all()


def test_exponentials_are_right_over_their_whole_range():
    """With B, C, u, delta one and the state's start one, a step without input returns exp(A)."""
    exponents = -torch.logspace(-6, 2, 4001).clamp(max=80)
    ones = torch.ones(1, len(exponents), 1)
    unit = torch.ones(len(exponents), 1)
    found = selective_scan_fn(
        ones * 0, ones, exponents[:, None], unit, unit, initial_state=torch.ones(1, len(exponents), 1), backend="cpp"
    )
    exact = exponents.double().exp()
    relative = (found.flatten() - exact).abs() / exact
    assert relative[exponents > -1].max() < 2.5e-7
    assert relative.max() < 1e-5  # the product of step and A is rounded before the power is taken


def test_the_output_lies_in_memory_as_the_input_does():
    tensors = inputs()
    assert selective_scan_fn(*tensors, backend="cpp").stride() == tensors[0].stride()
    tensors[0] = tensors[0].contiguous()
    assert selective_scan_fn(*tensors, backend="cpp").is_contiguous()


def test_slices_of_a_wider_projection_are_read_in_place():
    tensors = inputs()
    wide = torch.cat([tensors[0], tensors[6]], dim=1).transpose(1, 2).contiguous()
    u, z = wide.chunk(2, dim=-1)
    sliced = [u.transpose(1, 2), *tensors[1:6], z.transpose(1, 2), tensors[7]]
    assert all(torch.equal(a, b) for a, b in zip(run(sliced), run(tensors), strict=True))


def test_memory_beyond_inputs_and_outputs_is_bounded_and_linear_in_time():
    peaks = []
    for length in (1024, 2048):
        tensors = [x.requires_grad_() for x in inputs(2, 256, length, 16)]
        grad = torch.ones(2, length, 256).transpose(1, 2)

        def train(tensors=tensors, grad=grad):
            out = selective_scan_fn(*tensors, delta_softplus=True, backend="cpp")
            return out, torch.autograd.grad(out, tensors, grad)

        returned = sum(x.nbytes for x in (tensors[0], *tensors))  # the output is as large as u
        peaks.append(peak_bytes(train, inference=False) - returned)
    assert peaks[1] <= 25 * 2**20
    assert peaks[1] < 2.2 * peaks[0]
