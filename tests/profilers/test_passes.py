import torch
from torch import nn

from lib.profilers.passes import passes, stream, training_step

LINEAR, X = nn.Linear(3, 2), torch.ones(4, 3)


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("no")


def measured(models, **options):
    return passes(models, X, runs=2, warmup=0, progress=False, **options)


def test_a_forward_pass_counts_what_the_counter_does_not_see():
    plain = measured({"linear": LINEAR})["forward"]["linear"]
    more = measured({"linear": LINEAR}, uncounted=lambda model, x: len(x))["forward"]["linear"]
    assert (plain.flops, more.flops) == (2 * 4 * 3 * 2, 2 * 4 * 3 * 2 + 4)


def test_a_training_step_holds_more_and_has_no_operations():
    both = measured({"linear": LINEAR})
    assert len(both["training"]["linear"].seconds) == 2
    assert both["training"]["linear"].peak_bytes > both["forward"]["linear"].peak_bytes
    assert both["training"]["linear"].flops is None


def test_no_call_is_made_to_count_operations_that_nobody_reads():
    model, calls = nn.Linear(3, 2), []
    model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    measured({"linear": model})
    assert calls == [False] * 4 + [True] * 3  # bytes, operations and two rounds; bytes and two rounds


def test_a_model_that_fails_is_a_result_in_both_passes():
    both = measured({"broken": Broken(), "linear": LINEAR}, uncounted=lambda *_: 1)
    assert [both[part]["broken"].error for part in both] == ["RuntimeError: no"] * 2
    assert [len(both[part]["linear"].seconds) for part in both] == [2, 2]


def test_a_training_step_gives_every_gradient_and_keeps_none():
    model, x = torch.nn.Linear(3, 2), torch.ones(4, 3)
    gradients = training_step(model, x)
    model(x).square().mean().backward()
    assert all(torch.equal(ours, weight.grad) for ours, weight in zip(gradients, model.parameters(), strict=True))


class Sum(nn.Module):
    def step(self, x, state):
        return x, state + x


def test_a_stream_passes_every_token_and_carries_the_state():
    assert torch.equal(stream(Sum(), torch.zeros(2, 3), torch.ones(2, 5, 3)), torch.full((2, 3), 5.0))


def test_a_count_beside_that_fails_is_a_result_of_its_model_alone():
    def count(model, x):
        return 1 // (model is not LINEAR)

    both = measured({"linear": LINEAR, "other": nn.Linear(3, 2)}, uncounted=count)["forward"]
    assert both["linear"].error.startswith("ZeroDivisionError: ")
    assert both["other"].flops == 2 * 4 * 3 * 2 + 1
