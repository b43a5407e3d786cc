"""Tokens and labels: numbers of something, of which a wrong kind would be looked up or compared all the same."""

import pytest
import torch
from refusals import refused

from lib.models.checks import check_labels, check_tokens

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_tokens_of_an_embedding_are_accepted(dtype):
    check_tokens(torch.tensor([[0, 9]], dtype=dtype), 10, "B", "T")


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (torch.tensor([[0.0, 9.0]]), "tokens 0.0 to 9.0 of torch.float32: integers from 0 to 9 are needed"),
        (torch.tensor([[0, 10]]), "tokens 0 to 10 of torch.int64: integers from 0 to 9 are needed"),
        (torch.tensor([[-100, 1]]), "tokens -100 to 1 of torch.int64: integers from 0 to 9 are needed"),
        (torch.tensor([[True, False]]), "tokens False to True of torch.bool: integers from 0 to 9 are needed"),
        (torch.tensor([[1j]]), "tokens of torch.complex64: integers from 0 to 9 are needed"),
        (torch.tensor([[1, 2]], dtype=torch.uint8), "tokens of torch.uint8: torch.int32 or torch.int64 is needed"),
        (torch.tensor([[1, 2]], dtype=torch.int16), "tokens of torch.int16: torch.int32 or torch.int64 is needed"),
        (torch.tensor([1, 2]), "tokens of shape (2,): (B, T) with B >= 1 and T >= 1 is needed"),
        (torch.zeros(0, 3).long(), "tokens of shape (0, 3): (B, T) with"),
        (torch.zeros(1, 3, 1).long(), "tokens of shape (1, 3, 1): (B, T) with"),
    ],
)
def test_other_tokens_are_quoted(tokens, said):
    with refused(said):
        check_tokens(tokens, 10, "B", "T")


def test_tokens_without_values_are_held_to_shape_and_dtype():
    check_tokens(torch.zeros(1, 2, device="meta").long(), 10, "B", "T")
    with refused("tokens of torch.float32: integers from 0 to 9 are needed"):
        check_tokens(torch.zeros(1, 2, device="meta"), 10, "B", "T")


def checked(tokens):
    check_tokens(tokens, 10, "B", "T")
    return tokens + 1


class Checked(torch.nn.Module):
    def forward(self, tokens):
        return checked(tokens)


LATER = {  # ways to see the code without its values
    "compiled": lambda x: torch.compile(checked, backend="eager", fullgraph=True)(x),
    "exported": lambda x: torch.export.export(Checked(), (x,)).module()(x),
    "exported strictly": lambda x: torch.export.export(Checked(), (x,), strict=True).module()(x),
    "traced": lambda x: torch.jit.trace(checked, (x,))(x),
    "traced to a graph": lambda x: torch.fx.experimental.proxy_tensor.make_fx(checked)(x)(x),
    "traced with fakes": lambda x: torch.fx.experimental.proxy_tensor.make_fx(checked, tracing_mode="fake")(x)(x),
    "traced with symbols": lambda x: torch.fx.experimental.proxy_tensor.make_fx(checked, tracing_mode="symbolic")(x)(x),
    "mapped": lambda x: torch.func.vmap(checked)(x.unsqueeze(0))[0],
    "functional": lambda x: torch.func.functionalize(checked)(x),
}


@pytest.mark.parametrize("way", LATER)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("unchecked")
def test_tokens_are_checked_without_their_values_by_whoever_records_the_code(way):
    x = torch.tensor([[0, 9]])
    assert LATER[way](x).tolist() == [[1, 10]]


def test_fakes_are_checked_without_their_values():
    from torch._subclasses import FakeTensorMode

    x = torch.tensor([[0, 9]])
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert checked(mode.from_tensor(x)).shape == (1, 2)
        with refused("tokens of torch.float32: integers from 0 to 9 are needed"):
            checked(mode.from_tensor(torch.ones(1, 2)))


@pytest.mark.parametrize("dtype", WHOLE)
def test_labels_of_any_integers_are_accepted(dtype):
    check_labels("classes", torch.tensor([0, 3], dtype=dtype), 4, 2)


def test_a_number_for_no_answer_is_accepted_where_it_is_named():
    check_labels("answers", torch.tensor([[-100, 3]]), 4, 1, 2, ignored=-100)
    with refused("answers -100 to 3 of torch.int64: integers from 0 to 3 are needed"):
        check_labels("answers", torch.tensor([[-100, 3]]), 4, 1, 2)
    with refused("answers -1 to 3 of torch.int64: integers from 0 to 3, or -100, are needed"):
        check_labels("answers", torch.tensor([[-1, 3]]), 4, 1, 2, ignored=-100)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.tensor([1, 4]), "classes 1 to 4 of torch.int64: integers from 0 to 3 are needed"),
        (torch.tensor([0.0, 3.0]), "classes 0.0 to 3.0 of torch.float32: integers from 0 to 3 are needed"),
        (torch.tensor([True, False]), "classes False to True of torch.bool: integers from 0 to 3 are needed"),
        (torch.eye(4)[:2].long(), "classes of shape (2, 4): (2) is needed"),
        (torch.tensor([[1], [3]]), "classes of shape (2, 1): (2) is needed"),
        (torch.tensor([1, 2, 3]), "classes of shape (3,): (2) is needed"),
        (torch.tensor(1), "classes of shape (): (2) is needed"),
    ],
)
def test_other_labels_are_quoted(labels, said):
    with refused(said.replace("(2) is", "(2,) is")):
        check_labels("classes", labels, 4, 2)


def test_labels_are_a_tensor():
    with refused("classes is of type list: a tensor is needed", TypeError):
        check_labels("classes", [0, 1], 4, 2)
