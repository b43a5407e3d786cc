"""Tokens that stay and patches that go: counted by hand."""

import torch
from torch.testing import assert_close

from lib.models.clip.tokens import GONE, Tokens


def tokens(classes=1, patches=5):
    x = torch.arange(2.0 * (classes + patches)).view(2, -1, 1).expand(-1, -1, 3)
    return Tokens.of(x.double(), classes)


def test_every_patch_begins_with_a_token_of_its_own():
    found = tokens()
    assert found.places.tolist() == [[1, 2, 3, 4, 5]] * 2
    assert found.count == 5
    assert (found.sizes == 1).all()


def test_what_is_kept_keeps_its_order_and_the_class_token():
    found = tokens().kept(torch.tensor([[3, 0], [1, 4]]))
    assert found.x[:, :, 0].tolist() == [[0, 1, 4], [6, 8, 11]]
    assert found.places.tolist() == [[1, GONE, GONE, 2, GONE], [GONE, 1, GONE, GONE, 2]]


def test_without_a_class_token_nothing_is_kept_for_it():
    found = tokens(classes=0).kept(torch.tensor([[4, 2], [0, 1]]))
    assert found.x[:, :, 0].tolist() == [[2, 4], [5, 6]]
    assert found.places.tolist() == [[GONE, GONE, 0, GONE, 1], [0, 1, GONE, GONE, GONE]]


def test_what_is_gone_stays_gone():
    found = tokens().kept(torch.tensor([[0, 2, 3], [0, 1, 2]])).kept(torch.tensor([[1], [2]]))
    assert found.places.tolist() == [[GONE, GONE, 1, GONE, GONE], [GONE, GONE, 1, GONE, GONE]]
    assert_close(found.x[0, 1], tokens().x[0, 3])


def test_keeping_all_changes_nothing():
    found = tokens().kept(torch.arange(5).expand(2, -1))
    assert torch.equal(found.x, tokens().x)
    assert torch.equal(found.places, tokens().places)
