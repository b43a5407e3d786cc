"""The original report's pruning as written: each of its defects shown, and the tower itself when all are mended."""

import pytest
import torch
from torch.testing import assert_close
from towers import images, tower

from lib.models.clip.reduction.original import DEFECTS, OriginalPruning


def features(keep=1.0, mended=(), x=None, **options):
    return OriginalPruning(tower(), keep, mended)(images() if x is None else x, **options).pooler_output


@pytest.mark.parametrize("side", [32, 48])
def test_with_all_defects_mended_and_all_patches_it_is_the_tower(side):
    x, options = images(side=side), {"interpolate_pos_encoding": side != 32}
    assert_close(features(mended=DEFECTS, x=x, **options), tower()(x, **options).pooler_output)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_alone_changes_the_features_of_all_patches(defect):
    wanted = tower()(images()).pooler_output
    found = features(mended=set(DEFECTS) - {defect})
    assert (found - wanted).norm(dim=1).min() > 1e-2 * wanted.norm(dim=1).max()


def test_swapped_axes_let_a_neighbour_in_the_batch_decide():
    x, other = images(), images(seed=5)
    mixed = torch.cat([x[:1], other[1:]])
    assert (features(x=x)[0] - features(x=mixed)[0]).norm() > 1e-3
    assert_close(features(mended=["axes"], x=x)[0], features(mended=["axes"], x=mixed)[0])


def test_without_positions_the_order_of_patches_does_not_matter():
    x = images()
    moved = torch.cat([x[..., 16:, :], x[..., :16, :]], dim=-2)  # whole rows of patches trade places
    assert_close(features(mended=["axes"], x=x), features(mended=["axes"], x=moved))
    assert (features(mended=["axes", "positions"], x=x) - features(mended=["axes", "positions"], x=moved)).norm() > 1e-3


def test_the_mean_stands_before_the_longest_patches_in_their_order():
    model, x = tower(), images()
    patches = model.embeddings.patch_embedding(x).flatten(2).transpose(1, 2)
    longest = patches.norm(dim=-1).topk(5, dim=1).indices.sort(dim=1).values
    wanted = [torch.cat([one.mean(0, keepdim=True), one[row]]) for one, row in zip(patches, longest, strict=True)]
    seen = []
    model.encoder.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    OriginalPruning(model, 0.33, ["axes"])(x)  # the whole part of 0.33 times 16
    assert_close(seen[0], torch.stack(wanted))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"keep = 0\.0: more than 0"):
        OriginalPruning(tower(), 0.0)
    with pytest.raises(ValueError, match="mended = 'norm': one of axes, class_token"):
        OriginalPruning(tower(), 0.5, ["norm"])
    with pytest.raises(TypeError, match="SiglipVisionModel: the original report prunes CLIP"):
        OriginalPruning(tower("siglip"), 0.5)
