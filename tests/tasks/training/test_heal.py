"""Healing: the student comes nearer to its teacher, which stays as it is; a seed decides everything."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from lib.models.distill.replace import distill
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s4d_block import S4DBlock
from lib.tasks.training.heal import divergence, heal


def teacher(seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixers = [S4DBlock(8, states=16, dt_min=0.1, dt_max=1.0, generator=generator) for _ in range(2)]
    model = MambaClassifier(MambaConfig(dim=8, layers=2), 1, 3, mixers=mixers, generator=generator)
    with torch.no_grad():
        model.head.weight.mul_(10)  # it has opinions
    return model


def draw(size, generator):
    x = torch.randn(size, 20, 1, generator=generator)
    return x, (x.mean((1, 2)) > 0).long()


def healed(seed=0, steps=60, **options):
    """Teacher, student and losses."""
    model, losses = teacher(), []
    generator = torch.Generator().manual_seed(seed)

    def training(student, model):
        options.setdefault("rate", 1e-2)
        losses.extend(heal(student, model, draw, steps, generator=generator, progress=False, **options))

    return model, distill(model, 4, length=20, heal=training)[0], losses


@pytest.mark.slow
def test_the_student_comes_nearer_and_the_teacher_stays():
    untouched = copy.deepcopy(teacher()).state_dict()
    model, student, losses = healed()
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])
    assert all(torch.equal(value, untouched[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    x, _ = draw(64, torch.Generator().manual_seed(9))
    before, _ = distill(model, 4, length=20)
    with torch.no_grad():
        assert divergence(student(x), model(x), 1.0) < 0.3 * divergence(before(x), model(x), 1.0)


def test_a_seed_decides_the_batches_and_the_weights():
    (_, first, losses), (_, second, again), (_, _, others) = healed(steps=5), healed(steps=5), healed(1, steps=5)
    assert losses == again != others
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))


def test_the_teacher_answers_in_evaluation_mode_and_gets_its_mode_back():
    model, modes = nn.Sequential(nn.Linear(1, 3), nn.Dropout()), []
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    generator = torch.Generator().manual_seed(0)
    heal(nn.Linear(1, 3), model, draw, 2, generator=generator, progress=False)
    assert modes == [False, False]
    assert model.training
    with pytest.raises(RuntimeError):
        heal(nn.Linear(5, 3), model, draw, 2, generator=generator, progress=False)
    assert model.training


def test_the_tasks_own_loss_is_mixed_in():
    wrong = partial(torch.full, ())
    losses = {
        share: healed(steps=1, loss=lambda logits, _: 0 * logits.sum() + wrong(7.0), share=share)[2][0]
        for share in (0.0, 0.25, 1.0)
    }
    assert losses[1.0] == pytest.approx(7)
    assert losses[0.25] == pytest.approx(0.75 * losses[0.0] + 0.25 * 7)
    assert losses[0.0] == healed(steps=1)[2][0]


def test_poles_may_stay_where_they_are():
    moved = {}
    for poles in (0.0, 0.5):
        model, student, _ = healed(steps=3, poles=poles)
        fresh = dict(distill(model, 4, length=20)[0].named_parameters())
        moved[poles] = [
            name.rpartition(".")[2]
            for name, weight in student.named_parameters()
            if not torch.equal(weight, fresh[name])
        ]
    assert not {"log_rate", "angle"} & set(moved[0.0])
    assert {"log_rate", "angle", "C", "weight"} <= set(moved[0.5])


def test_an_interrupted_healing_goes_on(tmp_path):
    kept = tmp_path / "healing.safetensors"
    _, first, losses = healed(steps=6, kept=kept)
    _, second, again = healed(steps=6, kept=kept)
    assert losses == again
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))


def test_the_divergence_of_two_answers_is_the_written_out_sum():
    logits, wanted = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]]), torch.tensor([[[1.0, -1.0], [0.5, 0.0]]])
    p, q = (wanted / 3).softmax(-1), (logits / 3).softmax(-1)
    assert divergence(logits, wanted, 3.0).item() == pytest.approx((9 * (p * (p / q).log()).sum() / 2).item())
    assert divergence(wanted, wanted, 3.0).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature = 0.0: more than 0 is needed"),
        ({"batch": 0}, "batch = 0: an integer of at least 1 is needed"),
        ({"poles": -0.1}, "poles = -0.1: 0 to 1 is needed"),
        ({"share": 1.5}, "share = 1.5: 0 to 1 is needed"),
    ],
)
def test_a_value_out_of_range_is_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        healed(**options)


def test_only_answered_tokens_are_compared_where_asked():
    generator = torch.Generator().manual_seed(0)
    model, x = nn.Linear(1, 3), torch.randn(2, 4, 1, generator=generator)
    answers = torch.full((2, 4), -100)
    answers[0, 1] = answers[1, 3] = 2

    class Elsewhere(nn.Linear):
        """Right where there is an answer, and wrong by one of two weights elsewhere."""

        def forward(self, given):
            return torch.where((answers != -100).unsqueeze(-1), model(given).detach(), super().forward(given))

    options = dict(generator=generator, progress=False)
    everywhere = heal(Elsewhere(1, 3), model, lambda *_: (x, answers), 1, **options)
    asked = heal(Elsewhere(1, 3), model, lambda *_: (x, answers), 1, answered=True, **options)
    assert asked == [pytest.approx(0, abs=1e-6)]
    assert everywhere[0] > 1e-3
