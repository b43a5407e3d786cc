"""Settings of experiments: kinds, bounds and memory, refused in one line before anything is done."""

import math
from dataclasses import dataclass, fields

import pytest
import torch

from lib.experiments import (
    base,
    clip_accuracy,
    clip_cost,
    clip_shown,
    command,
    distill_cost,
    distill_training,
    lora_cases,
    lora_cost,
    lora_labels,
    lora_live,
    lora_tokens,
    mrss_proxy,
    mrss_scan,
    mrss_training,
    sizes,
    ssm_scaling,
)
from lib.models.mrss import proxy

SCALING = {"batch": 1, "length": 64, "dim": 4, "state": 4}
SHOWN = {"shown": "clip-scenes-0", "dataset": "scenes", "images": 8}
CASES = {  # experiment -> settings that fit, and one field that is too large for a mebibyte
    ssm_scaling: (SCALING, {"length": 2**17}),
    mrss_proxy: ({"batch": 1, "length": 64, "dim": 4}, {"batch": 2**20}),
    mrss_scan: ({"longest": 64, "width": 32, "layers": 2}, {"width": 4096}),
    distill_cost: ({"dim": 4, "states": 4, "length": 16, "longest": 64, "order": 2}, {"longest": 2**20}),
    clip_cost: ({"timed": "openai/clip-vit-base-patch32", "batch": 1, "side": 32}, {"batch": 2**20}),
    lora_cost: ({"timed": "clip-scenes-0", "batch": 1}, {"batch": 2**20}),
    lora_live: (
        SHOWN
        | {
            "method": "norm",
            "keep": 0.5,
            "rank": 1,
            "targets": r".*\.fc1",
            "learning": 1,
            "batch": 1,
            "accumulate": 1,
            "rate": 0.1,
        },
        {"learning": 10**6},
    ),
    clip_shown: (SHOWN, {"images": 10**5}),
    clip_accuracy: ({}, {"count": 10**5}),
    distill_training: ({"width": 8, "layers": 1, "teacher_states": 4}, {"width": 4096}),
    lora_tokens: ({"per_step": 1, "tested": 8}, {"per_step": 2**16}),
    lora_labels: ({"per_step": 1, "tested": 8}, {"tested": 10**5}),
}
every = pytest.mark.parametrize("experiment", CASES, ids=lambda module: module.__name__.rpartition(".")[2])


@pytest.fixture
def free(monkeypatch):
    """What a device is said to have."""
    asked = {"cpu": 2**40, "cuda": 2**40}
    monkeypatch.setattr(sizes, "available_bytes", lambda device: asked[str(device)])
    return asked


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    length: int
    keep: float = 0.5
    every: bool = True
    orders: tuple[int, ...] = (2, 4)
    sizes: tuple[int, int] | None = None
    tokens: int | None = None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": "8"}, "length = '8': an integer from 1 to 4194304 is needed"),
        ({"length": 8.0}, r"length = 8\.0: an integer from 1"),
        ({"length": True}, "length = True: an integer from 1"),
        ({"length": None}, "length = None: an integer from 1"),
        ({"length": [8]}, r"length = \[8\]: an integer from 1"),
        ({"length": 10**20}, "length = 10{20}: an integer from 1 to 4194304"),
        ({"length": 0}, "length = 0: an integer from 1"),
        ({"tokens": 0}, "tokens = 0: an integer from 1"),
        ({"tokens": "3"}, "tokens = '3': an integer from 1"),
        ({"seed": 2**63}, f"seed = {2**63}: an integer from 0 to {2**63 - 1}"),
        ({"runs": 10**9}, "runs = 1000000000: an integer from 1 to 10000"),
        ({"keep": math.nan}, "keep = nan: a finite number is needed"),
        ({"keep": math.inf}, "keep = inf: a finite number is needed"),
        ({"keep": "0.5"}, r"keep = '0\.5': a finite number is needed"),
        ({"orders": ()}, r"orders = \(\): one or more integers"),
        ({"orders": [2, "a"]}, r"orders = \(2, 'a'\): one or more integers"),
        ({"orders": [2, -4]}, r"orders = \(2, -4\): one or more integers"),
        ({"orders": "24"}, "orders is of type str: a list of numbers is needed"),
        ({"orders": [2, 10**9]}, "orders = 1000000000: an integer from 1 to 1024"),
        ({"sizes": [2, 4, 8]}, "sizes of 3 numbers: one of 2 is needed"),
        ({"every": 1}, "every is of type int: a bool is needed"),
        ({"device": 0}, "device is of type int: a str is needed"),
        ({"device": "mps"}, "device = 'mps': one of cpu, cuda is needed"),
        ({"device": "cuda:99"}, "device = 'cuda:99': one of cpu, cuda is needed"),
        ({"dtype": "load"}, "dtype = 'load': one of float32"),
        ({"dtype": torch.float32}, "dtype is of type dtype: a str is needed"),
    ],
)
def test_a_field_of_another_kind_or_out_of_bounds_is_refused(wrong, message):
    for make in (lambda: Settings(**{"length": 4} | wrong), lambda: Settings.of({"length": 4}, **wrong)):
        with pytest.raises((ValueError, TypeError), match=f"^{message}") as caught:
            make()
        assert "\n" not in str(caught.value)


def test_bounds_are_allowed_themselves_and_a_whole_number_is_a_number():
    assert Settings(length=1, keep=1, tokens=None, warmup=0, seed=0).keep == 1
    assert Settings(length=sizes.MOST["length"], seed=2**63 - 1).seed == 2**63 - 1


def test_what_lacks_and_what_is_unknown_is_named_in_one_line():
    with pytest.raises(TypeError, match=r"^longest, width, layers: not given; lib\.experiments\.mrss_scan needs"):
        mrss_scan.Settings.of({"r": 2})
    with pytest.raises(TypeError, match=r"^task: not given; lib\.experiments\.mrss_training needs task$"):
        mrss_training.Settings.of({})
    with pytest.raises(TypeError, match=r"^lenght, rr: no setting of .*; there are seed, device, .*length"):
        mrss_proxy.Settings.of({}, lenght=3, rr=4)


def test_every_bound_is_of_a_field_that_there_is():
    modules = [*CASES, mrss_training]
    known = {one.name for module in modules for one in fields(module.Settings)}
    own = {"orders", "count", "tested", "per_step", "tokens", "healing", "teacher_states"}  # of trainings
    assert set(sizes.MOST) <= known | own


@pytest.mark.limit(
    "parameters",
    "Sizes that need more memory than the device, the machine, its container or the shell's limit has left",
    "The system would end the process without a word. Lower one of the parameters that the message names.",
)
@every
def test_an_experiment_is_refused_before_anything_is_drawn(experiment, free, monkeypatch):
    small, large = CASES[experiment]
    check = getattr(experiment, "check", lora_cases.check)
    check(experiment.Settings(**small))
    free["cpu"] = 2**20
    monkeypatch.setattr(torch, "randn", None)
    too_large = experiment.Settings(**small | large)
    (name,) = large
    for call in (check, getattr(experiment, "run", check)):
        with pytest.raises(
            sizes.TooLarge, match=rf"`{name}` {large[name]}\b.*: needs [\d,]+ bytes on cpu, 1,048,576 are free"
        ):
            call(too_large)


@pytest.mark.limit(
    "machines",
    "The device cuda on a machine whose torch finds no GPU",
    "Nothing would be measured. Use auto, which takes a GPU where there is one.",
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"^device = 'cuda': this machine has none that torch can use; cpu is there$"):
        mrss_proxy.run(mrss_proxy.Settings(batch=2, length=64, dim=4, device="cuda"))


def test_a_gpus_memory_counts_and_so_does_the_hosts_where_the_input_is_drawn(free, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    chosen = mrss_proxy.Settings(batch=2, length=64, dim=4, device="cuda")
    weights = sum(proxy.weights(4, proxy.TAPS, factor) for factor in (None, 1, 2, 4, 8))
    exact = 4 * (4 * 2 * 64 * 4 + weights)  # the input and three activations
    free["cuda"] = exact
    mrss_proxy.check(chosen)
    free["cuda"] = exact - 1
    with pytest.raises(sizes.TooLarge, match=f"needs {exact:,} bytes on cuda"):
        mrss_proxy.check(chosen)
    free.update(cuda=2**40, cpu=4 * 2 * 64 * 4 - 1)
    with pytest.raises(sizes.TooLarge, match="needs 2,048 bytes on cpu, 2,047 are free"):
        mrss_proxy.check(chosen)


def test_half_precision_needs_half(free):
    free["cpu"] = 6 * 2**20 * 4
    ssm_scaling.check(ssm_scaling.Settings(**SCALING | {"length": 2**18}, dtype="bfloat16"))
    with pytest.raises(sizes.TooLarge):
        ssm_scaling.check(ssm_scaling.Settings(**SCALING | {"length": 2**18}))


def test_a_device_that_cannot_say_what_is_free_is_left_to_what_is_called_next(monkeypatch):
    def broken(device):
        raise RuntimeError("no CUDA")

    monkeypatch.setattr(sizes, "available_bytes", broken)
    mrss_proxy.check(mrss_proxy.Settings(batch=2**20, length=2**22, dim=4))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--batch", 10**14), "ValueError: batch = 100000000000000: an integer from 1 to 1048576 is needed"),
        (("--batch", 2**20, "--length", 2**20), "TooLarge: `batch` 1048576, `length` 1048576, `dim` 16: needs "),
        (("--dtype", "int8"), "ValueError: dtype = 'int8': one of float32"),
        (("--r", 300), "ValueError: r = 300: an integer from 1 to 128 is needed"),
        (("--seed", -1), "ValueError: seed = -1: an integer from 0"),
    ],
)
def test_a_command_line_ends_with_one_line(options, line, free):
    with pytest.raises(SystemExit) as ended:
        command.main("about", "mrss", mrss_proxy.Settings, mrss_proxy.run, mrss_proxy.frame, [*map(str, options)])
    assert str(ended.value.code).startswith(line)
    assert "\n" not in str(ended.value.code)


def test_a_factor_at_which_no_width_has_as_many_weights_is_named(free, monkeypatch):
    def nothing(*_):
        raise ValueError("'low', factor 8: dim 4 comes nearest to 100 weights")

    monkeypatch.setattr(mrss_scan, "_variants", nothing)
    with pytest.raises(ValueError, match=r"^`r` is 8: with `width` 32 and `layers` 2, 'low', factor 8: .*; lower it$"):
        mrss_scan.run(mrss_scan.Settings(longest=64, width=32, layers=2))


def test_a_channel_fewer_than_states_is_refused_and_as_many_are_timed(free):
    with pytest.raises(ValueError, match=r"^state = 8: an integer from 1 to 4 is needed"):
        ssm_scaling.check(ssm_scaling.Settings(**SCALING | {"state": 8}))
    ssm_scaling.check(ssm_scaling.Settings(**SCALING))


def test_a_case_is_wanted_by_each_of_its_values():
    only = {"dim": (16, 32), "length": [4]}
    assert sizes.among({}, dim=1)
    assert sizes.among(only, dim=32, length=4)
    assert not sizes.among(only, dim=32, length=8)
    with pytest.raises(ValueError, match="only = 'width': one of dim, length is needed"):
        sizes.among({"width": (1,)}, dim=1, length=2)
