"""Students: a seed decides them, they are counted as they are stored, an original is found again in its file."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from lib.models.ssm.mamba import MambaConfig
from lib.models.ssm.s4d import S4D
from lib.tasks import students
from lib.tasks.students import Plan, Student

PLAN = Plan("digits", seed=0, states=8, orders=(2,), methods=("modal", "truncated_svd"), steps=2, healing=1)


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    monkeypatch.setattr(students, "SIZES", MambaConfig(dim=8, layers=2))
    monkeypatch.setattr(students, "SWEEPS", tmp_path)


def test_a_plan_makes_the_original_every_student_and_the_control():
    found = list(students.students(PLAN))
    assert [(one.method, one.order, one.healed) for one in found] == [
        ("original", 8, False),
        ("modal", 2, False),
        ("modal", 2, True),
        ("truncated_svd", 2, False),
        ("truncated_svd", 2, True),
        ("scratch", 2, False),
    ]
    assert all(0 <= one.accuracy <= 1 and one.stored > 0 for one in found)
    assert [one.error is None for one in found] == [True, False, True, False, True, True]


def test_what_is_stored_is_counted_alike():
    found = {one.method: one.stored for one in students.students(PLAN)}
    layers, dim = 2, 8
    assert found["original"] == layers * dim * 4 * 4  # four modes of a decay and a weight, complex both
    assert found["modal"] == found["scratch"] == layers * dim * 4
    assert found["truncated_svd"] == layers * 2 * (256 + dim)


def test_a_seed_decides_everything():
    first, second, other = (
        [one.accuracy for one in students.students(plan)] for plan in (PLAN, PLAN, replace(PLAN, seed=1))
    )
    assert first == second != other


def test_an_original_is_found_again_with_its_test_set():
    made = students.made(PLAN)
    model, task = students.load(PLAN.weights)
    assert task.accuracy(model) == made[0]["accuracy"]
    assert [layer.C.shape[1] for layer in model.modules() if isinstance(layer, S4D)] == [4, 4]


def test_a_file_of_another_kind_is_named(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors: not a model of ours, its header lacks task, seed"):
        students.load(tmp_path / "other.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"junk.safetensors: not readable as safetensors"):
        students.load(tmp_path / "junk.safetensors")
    with pytest.raises(FileNotFoundError):
        students.load(tmp_path / "none.safetensors")


def test_results_are_grouped_by_all_but_the_seed():
    def one(seed):
        return {
            "method": "modal",
            "order": 2,
            "healed": True,
            "accuracy": seed / 10,
            "error": None,
            "stored": 4,
            "seconds": 1.0,
        }

    found = students.by_seed({replace(PLAN, seed=seed): [one(seed)] for seed in (3, 4)})
    assert found == {("modal", 2, True): {seed: Student(**one(seed)) for seed in (3, 4)}}
