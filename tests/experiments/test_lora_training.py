"""Adapters on a checkpoint: what learns, what stays, and a training that goes on as if it had not stopped."""

import re
from dataclasses import replace

import pytest
import torch

from lib.experiments import lora_cost, lora_labels, lora_tokens, lora_training
from lib.experiments.lora_cases import Settings, plans
from lib.experiments.lora_training import GOALS, Adapted, Plan, adapted, data_of, prepared, trained
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.models.lora.files import load_lora
from lib.models.lora.layers import adapters
from lib.paths import CHECKPOINTS
from lib.tasks import zero_shot

pytestmark = pytest.mark.slow

PROJECTIONS = {"visual_projection", "text_projection"}
INSIDE = {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Two steps on few scenes; what is kept goes elsewhere."""
    monkeypatch.setattr(lora_training, "CHECKPOINTS", tmp_path)
    return Plan("scenes", 0, "labels", steps=2, batch=8, tested=32)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task": "cifar"}, "task = 'cifar': one of scenes, cifar10 is needed"),
        ({"goal": "label"}, "goal = 'label': one of labels, tokens is needed"),
        ({"way": "peft"}, "way = 'peft': one of full, lora, bottleneck is needed"),
        ({"place": "everywhere"}, "place = 'everywhere': one of all linear, image tower"),
        ({"seed": -1}, "seed = -1: at least 0 is needed"),
        ({"steps": 0}, "steps = 0: at least 1 is needed"),
        ({"tested": 0}, "tested = 0: at least 1 is needed"),
        ({"goal": "tokens", "way": "full"}, "rate = 0: tokens and full have none of their own"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(few, wrong, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        replace(few, **wrong)


def test_every_variant_of_both_goals_is_planned_for_every_seed():
    for experiment in (lora_labels, lora_tokens):
        by_variant = plans(experiment.GOAL, experiment.VARIANTS, Settings(task="scenes", seeds=3))
        found = [plan for group in by_variant.values() for plan in group]
        assert list(by_variant) == list(experiment.VARIANTS)
        assert len(found) == len(set(found)) == 3 * len(experiment.VARIANTS)
        assert {plan.seed for plan in found} == {0, 1, 2}
        assert {plan.goal for plan in found} == {experiment.GOAL}


def test_a_longer_training_has_as_many_times_the_steps():
    by_variant = plans("labels", lora_labels.VARIANTS, Settings(task="scenes", seeds=1, steps=3))
    (usual,), (longer,) = by_variant[lora_labels.USUAL], by_variant[lora_labels.USUAL_LONGER]
    assert (usual.steps, longer.steps) == (3, 3 * lora_labels.LONGER)


@pytest.mark.parametrize(
    ("place", "towers", "kinds"),
    [
        ("projections", {"visual", "text"}, PROJECTIONS),
        ("queries, values", {"vision", "text"}, {"q_proj", "v_proj"}),
        ("queries, values, projections", {"vision", "visual", "text"}, PROJECTIONS | {"q_proj", "v_proj"}),
        ("image tower", {"vision", "visual"}, INSIDE | {"visual_projection"}),
        ("text tower", {"text"}, INSIDE | {"text_projection"}),
        ("all linear", {"vision", "visual", "text"}, INSIDE | PROJECTIONS),
    ],
)
def test_a_place_is_where_its_name_says(place, towers, kinds):
    ours = clip.load("clip-scenes-0")
    prepared(ours, Plan("scenes", 0, "tokens", 1, place=place))
    names = [name for name, _ in adapters(ours.model)]
    assert {name.partition("_")[0] for name in names} == towers
    assert {name.rpartition(".")[2] for name in names} == kinds


def test_all_linear_layers_are_all():
    ours = clip.load("clip-scenes-0")
    linear = sum(type(layer) is torch.nn.Linear for layer in ours.model.modules())
    prepared(ours, Plan("scenes", 0, "tokens", 1))
    assert len(list(adapters(ours.model))) == linear


def test_new_words_learn_whatever_else_does(few):
    for way in ("full", "lora", "bottleneck"):
        ours = clip.load("clip-scenes-0")
        prepared(ours, replace(few, way=way))
        assert ours.model.text_model.embeddings.token_embedding.weight.requires_grad
    ours = clip.load("clip-scenes-0")
    prepared(ours, replace(few, goal="tokens"))
    assert not ours.model.text_model.embeddings.token_embedding.weight.requires_grad


def test_a_start_from_zero_or_from_singular_values_leaves_the_answers(few):
    for init in ("zero", "svd"):
        original, ours = clip.load("clip-scenes-0"), clip.load("clip-scenes-0")
        prepared(ours, replace(few, goal="tokens", init=init, rate=1e-3))
        texts = ["a red disc.", "a blue star."]
        with torch.inference_mode():
            torch.testing.assert_close(ours.text_features(texts), original.text_features(texts), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("way", "place", "share"),
    [("full", "all linear", 1.0), ("lora", "all linear", 0.05), ("bottleneck", "projections", 0.01)],
)
def test_a_training_is_judged_before_and_after(few, way, place, share):
    found = adapted(replace(few, way=way, place=place))
    assert set(found) == set(Adapted.__annotations__)
    assert all(0 <= found[name] <= 1 for name in ("whole", "reduced", "accuracy", "unreduced"))
    assert found["whole"] == found["reduced"]  # all tokens are kept
    assert found["accuracy"] == found["unreduced"]
    assert 0 < found["trainable"] / found["total"] <= share
    assert found["optimiser_bytes"] == 8 * found["trainable"]
    assert len(found["losses"]) == 2


def test_one_plan_gives_one_result_and_another_seed_another(few):
    first, again, other = (adapted(plan)["losses"] for plan in (few, few, replace(few, seed=3)))
    assert first == again != other  # seeds 0 and 3 take the same checkpoint


def test_fewer_tokens_are_those_of_the_plan(few):
    plan = replace(few, goal="tokens", method="norm", keep=0.25)
    found = adapted(plan)
    assert found["reduced"] < found["whole"]


def test_images_held_back_are_learned_from_in_no_trial(few):
    for goal in GOALS:
        plan = replace(few, goal=goal)
        sets = [data_of(plan)[1], data_of(replace(plan, trial=True))[1], data_of(plan)[0]]
        seen = [{image.numpy().tobytes() for image in one.images} for one in sets]
        assert not seen[0] & seen[1]
        assert not seen[2] & (seen[0] | seen[1])


class Interruption(Exception):
    pass


def test_an_interrupted_training_of_adapters_ends_as_an_uninterrupted_one(few, tmp_path, monkeypatch):
    plan = replace(few, steps=6, goal="tokens", method="merge_in_rounds", keep=0.5)
    learned = data_of(plan)[0]

    def run(stop=None, **options):
        ours = clip.load("clip-scenes-0")
        seen = prepared(ours, plan)
        original, taken = lora_training.clips.losses, []

        def losses(*arguments):
            for number, loss in enumerate(original(*arguments)):
                if number == stop:
                    raise Interruption
                yield loss

        with monkeypatch.context() as patch:
            patch.setattr(lora_training.clips, "losses", losses)
            taken = trained(ours, seen, learned, plan, progress=False, every=2, **options)
        return taken, [layer.B.detach().clone() for _, layer in adapters(ours.model)]

    wanted, weights = run()
    with pytest.raises(Interruption):
        run(stop=5, kept=tmp_path / "run.safetensors")
    found, resumed = run(kept=tmp_path / "run.safetensors")
    assert found == wanted
    assert all(torch.equal(one, other) for one, other in zip(weights, resumed, strict=True))


def test_a_step_costs_what_learns(few):
    ours = clip.load("clip-scenes-0")
    prepared(ours, few)
    learning = [weight for weight in ours.model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learning)
    inputs = ours.tokenizer(["an orange disc.", "a pink star."], return_tensors="pt", padding=True)
    pixels = ours.pixels(data_of(few)[0].first(2).images)
    lora_cost.step(ours.model, optimiser, pixel_values=pixels, **inputs)
    counters = 4 * len(learning)  # of the steps taken
    assert lora_cost.state_bytes(optimiser) - counters == 2 * sum(weight.nbytes for weight in learning)


def test_adapters_of_the_first_seed_are_kept_and_answer_as_they_did(few, monkeypatch, tmp_path):
    monkeypatch.setattr(lora_training, "STEPS", {"tokens": 2})
    plan = replace(few, goal="tokens", method="norm", keep=0.5)
    assert [replace(plan, **other).adapter for other in ({"seed": 1}, {"keep": 1.0}, {"trial": True})] == [None] * 3
    found = adapted(plan)
    (folder,) = tmp_path.iterdir()
    assert folder.name == "lora-scenes-norm-0.5"
    ours = clip.load("clip-scenes-0")
    seen = ours.seeing_with(reduce_tokens(ours.model.vision_model, "norm", 0.5, class_row_only=True))
    load_lora(ours.model, folder)
    assert zero_shot.accuracy(seen, data_of(plan)[1]) == found["accuracy"]


@pytest.mark.parametrize("folder", sorted(CHECKPOINTS.glob("lora-*")), ids=lambda folder: folder.name)
def test_adapters_that_are_shipped_fit_their_checkpoint(folder):
    _, task, _, _ = folder.name.split("-")
    assert load_lora(clip.load(f"clip-{task}-0").model, folder)
