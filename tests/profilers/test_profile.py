import torch

from lib.profilers.profile import describe, profile


def fail():
    raise RuntimeError("first line\nsecond line")


def test_a_profile_holds_seconds_bytes_and_operations():
    a, b = torch.rand(8, 8), torch.rand(8, 8)
    result = profile({"product": lambda: a @ b}, runs=3, warmup=0, progress=False)["product"]
    assert len(result.seconds) == 3
    assert result.peak_bytes == 8 * 8 * 4
    assert result.flops == 2 * 8**3
    assert result.error is None


def test_a_failing_case_is_a_result_and_the_others_go_on():
    results = profile({"bad": fail, "good": lambda: torch.zeros(1)}, runs=2, warmup=0, progress=False)
    assert results["bad"].error == "RuntimeError: first line"
    assert results["bad"].seconds == []
    assert len(results["good"].seconds) == 2


def test_memory_that_runs_out_has_one_name():
    result = profile({"huge": lambda: torch.empty(10**15)}, runs=1, progress=False)["huge"]
    assert result.error.startswith("out of memory: ")


def test_a_case_known_not_to_fit_is_not_tried():
    tried = []
    result = profile({"huge": lambda: tried.append(1)}, runs=1, needs={"huge": 10**15}, progress=False)["huge"]
    assert result.error.startswith("out of memory: needs 1,000,000,000,000,000 bytes")
    assert not tried


def test_an_error_without_a_message_still_has_a_type():
    assert describe(ValueError()) == "ValueError: "
