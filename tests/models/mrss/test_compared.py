"""All forms at one factor: what is compared has the baseline's number of parameters, and every form trains."""

import pytest
import torch
from torch.nn import functional as F

from lib import names
from lib.models.mrss import variants as mrss
from lib.models.mrss.config import MrssConfig
from lib.models.ssm.mamba import MambaConfig
from lib.paths import ROOT

SIZES = MambaConfig(dim=64, layers=4)
SMALL = MambaConfig(dim=16, layers=2, states=4)
OTHERS = {"wrapped", "hiss, r = 8", "scale_mixer, r = 8", "hnet, r = 8", "hierarchy", "hierarchy as wide"}


@pytest.fixture(scope="module")
def compared():
    return mrss.compared(SIZES, 8)


def test_the_comparison_is_the_family_the_originals_forms_controls_and_peers(compared):
    assert set(compared) >= {*mrss.family(SIZES, 8), *mrss.proposed(SIZES, 8), *OTHERS}
    assert {config.variant for config in compared.values()} == {"single", *names.FORMS}


def test_controls_and_peers_are_in_the_comparison_only():
    assert {"dual", "low", "hybrid", "dynamic"} <= set(names.family())
    assert not {"wrapped", "hiss", "scale_mixer", "hnet"} & set(names.family())
    assert list(mrss.family(SIZES, 8)) == ["baseline", *(f"{form}, r = 8" for form in names.family())]


def test_what_a_paper_described_cites_it():
    cited = {row.source for row in names.FORMS.values() if isinstance(row, names.Compared) and row.source}
    assert {"bhirangi2024hiss", "karami2025msssm", "hwang2025hnet"} <= cited
    references = (ROOT / "book/references.bib").read_text()
    assert all(f"{{{key}," in references for key in cited)


def test_all_but_those_as_wide_have_the_same_number_of_parameters(compared):
    wanted = mrss.parameters(compared["baseline"])
    for label, config in compared.items():
        near = abs(mrss.parameters(config) / wanted - 1) <= mrss.NEAR
        assert near != label.removesuffix(", r = 8").endswith("as wide"), label


def test_stems_are_labelled_as_forms_are():
    assert list(mrss.stems(SIZES, 4)) == ["patches, r = 4", "strided, r = 4", "pooled, r = 4"]
    assert {config.mamba for config in mrss.stems(SIZES, 4).values()} == {SIZES}


TRAINED = [("single", 1), ("dual", (2, 4, 8)), *((form, 1 if form == "wrapped" else 4) for form in names.FORMS)]


@pytest.mark.parametrize(("variant", "factor"), TRAINED)
def test_thirty_steps_lower_the_loss(variant, factor, generator):
    """The task: whether the mean of the last two tokens is above zero."""
    model = mrss.model(MrssConfig(SMALL, variant, factor), 1, 2, pooling="none", generator=generator)
    x = torch.randn(16, 24, 1, generator=generator)
    answers = (x + F.pad(x, (0, 0, 1, 0))[:, :-1] > 0)[..., 0].long()
    optimiser, losses = torch.optim.AdamW(model.parameters(), lr=0.01), []
    for _ in range(30):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, 1), answers.flatten())
        (loss + mrss.balance(model)).backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(("variant", "factor"), TRAINED)
def test_a_sequence_does_not_depend_on_its_neighbours(variant, factor, generator):
    model = mrss.model(MrssConfig(SMALL, variant, factor), 1, 2, pooling="none", generator=generator).double()
    x = torch.randn(3, 37, 1, generator=generator, dtype=torch.float64) * torch.tensor([[[0.1]], [[1.0]], [[5.0]]])
    with torch.no_grad():
        torch.testing.assert_close(model(x), torch.cat([model(row[None]) for row in x]))
