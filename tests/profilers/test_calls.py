"""Calls of every kind: those that leave their work for later, set what the next one runs with, or start threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from refusals import refused

from lib.profilers.calls import SETTINGS, computed
from lib.profilers.flops import flops
from lib.profilers.latency import latency
from lib.profilers.memory import peak_bytes
from lib.profilers.profile import Profile, profile

X = torch.rand(8, 8)
QUIET = dict(runs=2, warmup=1, progress=False)


def products():
    yield X @ X


async def awaited():
    return X @ X


async def streamed():
    yield X @ X


LATER = {
    "generator": products,
    "coroutine": awaited,
    "async_generator": streamed,
    "map": lambda: map(torch.neg, [X]),
    "zip": lambda: zip([X], [X], strict=True),
    "Future": lambda: torch.futures.Future(),
}


@pytest.mark.limit(
    "profilers",
    "A callable that returns a generator, a coroutine or a future",
    "Its work would be done after the measurement, which would show next to nothing. Measure a call that does it.",
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a coroutine that nobody awaits
@pytest.mark.parametrize("measure", [lambda call: latency({"later": call}, **QUIET), peak_bytes, flops])
@pytest.mark.parametrize("kind", LATER)
def test_work_that_is_left_for_later_is_refused_by_every_profiler(kind, measure):
    with refused(f"returned a {kind}: its work is still to be done", TypeError):
        measure(LATER[kind])


def test_work_that_is_done_is_measured_whatever_comes_out():
    sizes = iter(range(1, 9))
    done = {
        "list": lambda: list(products()),
        "awaited": lambda: asyncio.run(awaited()),
        "nothing": lambda: None,
        "another shape each time": lambda: torch.zeros(next(sizes)),
        "a string": lambda: "done",
    }
    results = profile(done, **QUIET)
    assert {name: result.error for name, result in results.items()} == dict.fromkeys(done)
    assert results["list"].flops == results["awaited"].flops == 2 * 8**3


def test_a_generator_among_others_is_a_failed_case():
    results = profile({"lazy": products, "done": lambda: X + 1}, **QUIET)
    assert results["lazy"].error.startswith("TypeError: returned a generator: ")
    assert len(results["done"].seconds) == 2


class Elsewhere(torch.Tensor):
    device = torch.device("cuda", 0)


def test_a_tensor_of_another_device_than_the_one_that_is_timed_is_named():
    with refused("returned a tensor on cuda:0, but device = cpu is measured; name that device"):
        computed(Elsewhere(), torch.device("cpu"))
    computed(Elsewhere(), torch.device("cuda"))
    computed(torch.zeros(2, device="meta"), torch.device("cpu"))


def spoil():
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    return X @ X


def settings():
    return [read() for read, _ in SETTINGS]


@pytest.mark.parametrize(
    "measure",
    [
        lambda call: latency({"spoils": call}, inference=False, **QUIET),
        lambda call: peak_bytes(call, inference=False),
        lambda call: flops(call, inference=False),
        lambda call: profile({"spoils": call}, inference=False, **QUIET),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_settings_that_a_call_changes_are_brought_back(measure, fails):
    def call():
        spoil()
        if fails:
            raise KeyboardInterrupt

    before = settings()
    try:
        measure(call)
    except KeyboardInterrupt:
        assert fails
    assert settings() == before


def test_a_call_runs_with_the_settings_that_were_there_whoever_came_before():
    found, before = [], settings()
    results = profile({"spoils": spoil, "looks": lambda: found.append(settings())}, inference=False, **QUIET)
    assert found == [before] * len(found)
    assert [result.error for result in results.values()] == [None, None]


def test_tensors_of_threads_that_a_call_starts_are_counted():
    def work():
        torch.zeros(256, 4)

    def call():
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join()

    def pooled():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.zeros, 256, 4).result()

    assert peak_bytes(call) == peak_bytes(pooled) == 4096


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_tensor_takes_what_its_numbers_and_their_places_take(layout):
    kept = peak_bytes(lambda: torch.eye(4).to_sparse(layout=layout))
    dense, values, places = 64, 4 * 4, 2 * 4 * 8 if layout == torch.sparse_coo else (4 + 5) * 8
    assert kept >= dense + values + places


def test_calls_that_change_the_mapping_they_came_in_change_nothing():
    calls = {"first": lambda: calls.pop("second", None), "second": lambda: None}
    assert [len(result.seconds) for result in profile(calls, **QUIET).values()] == [2, 2]


@pytest.mark.parametrize(
    ("wrong", "message", "error"),
    [
        (dict(runs=0), "runs = 0: at least 1 is needed", ValueError),
        (dict(runs=2.5), "runs = 2.5: at least 1 is needed, a whole number", ValueError),
        (dict(warmup=-1), "warmup = -1: at least 0 is needed", ValueError),
        (dict(needs={"fist": 1}), "needs: 'fist' is none of the callables, 'first'", ValueError),
        (dict(device="gpu"), "Expected one of cpu, cuda", RuntimeError),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_called(wrong, message, error):
    with refused(message, error):
        profile({"first": lambda: pytest.fail("called")}, **{**QUIET, **wrong})


@pytest.mark.parametrize(
    ("callables", "message"),
    [
        ([("a", len)], "callables = [('a', <built-in function len>)]: a mapping from names"),
        ({"a": 3}, "a: 3 cannot be called"),
        ({"a": len, 7: None}, "7: None cannot be called"),
    ],
)
def test_what_is_no_mapping_of_callables_is_refused(callables, message):
    with refused(message, TypeError):
        profile(callables, **QUIET)


@pytest.mark.parametrize("measure", [flops, peak_bytes])
def test_what_cannot_be_called_is_refused(measure, unchecked):
    with refused("3 cannot be called: a callable without arguments is needed", TypeError):
        measure(3)


def test_numbers_of_rounds_may_be_numpys():
    found = profile({"first": lambda: None}, **{**QUIET, "runs": np.int64(2)})
    assert len(found["first"].seconds) == 2


def test_names_of_any_kind_are_kept():
    names = ["text", 3, ("a", 2), None, frozenset("ab")]
    assert [*profile({name: lambda: None for name in names}, **QUIET)] == names


@pytest.mark.parametrize("round_", [1, 2, 3, 5, 9])
def test_a_call_that_fails_in_any_round_is_a_result_and_the_others_go_on(round_):
    left = iter(range(1, round_))  # bytes and operations are rounds 1 and 2, the warm-up is 3, then 7 are timed
    results = profile({"bad": lambda: next(left), "good": lambda: X + 1}, runs=7, warmup=1, progress=False)
    assert results["bad"] == Profile(error="StopIteration: ")
    assert len(results["good"].seconds) == 7


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Mute(), "Mute: "),
        (MemoryError(), "out of memory: "),
        (ExceptionGroup("two", [ValueError()]), "ExceptionGroup: two"),
    ],
)
def test_errors_of_any_kind_are_one_line(error, told):
    def fail():
        raise error

    assert profile({"bad": fail}, **QUIET)["bad"].error.startswith(told)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("round_", [1, 2, 4])
def test_an_end_of_the_program_passes_in_any_round(stop, round_):
    left = iter(range(1, round_))

    def call():
        if next(left, None) is None:
            raise stop

    with pytest.raises(stop):
        profile({"ends": call}, **QUIET)
    assert torch._C._len_torch_dispatch_stack() == 0


def test_a_profile_takes_formulas_of_operators():
    calls = {"product": lambda: X @ X}
    given = {torch.ops.aten.mm: lambda *_, **__: 7}
    assert profile(calls, formulas=given, **QUIET)["product"].flops == 7
