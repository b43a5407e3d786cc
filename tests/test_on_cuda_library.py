"""What an engineer calls with a model of their own runs on a GPU, a pretended one."""

import pytest
import torch
from fake_cuda import NAME
from on_cuda import without_kernels
from torch.nn import functional as F

from lib.experiments import clip_outcomes, clip_pictures, distill_models, lora_training, toys
from lib.models.clip import load as clip
from lib.models.distill.replace import METHODS, deployed, distill
from lib.models.lora.files import load_lora, save_lora
from lib.models.lora.layers import add_lora
from lib.models.mrss import variants as mrss
from lib.models.ssm.mamba import MambaConfig
from lib.models.ssm.s4d import S4D
from lib.names import FORMS, REDUCTIONS
from lib.tasks import zero_shot
from lib.tasks.data import labels
from lib.tasks.data.images import named
from lib.tasks.data.sequences import TASKS
from lib.tasks.training.heal import heal
from lib.tasks.training.loop import train

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def gpu():
    with without_kernels():
        assert torch.cuda.get_device_name() == NAME
        yield


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def our_clip(dtype=torch.float32):
    return clip.load("clip-scenes-0", device="cuda", dtype=dtype)


@pytest.mark.parametrize("name", METHODS)
def test_a_kernel_is_distilled_where_it_is(name, generator):
    layer = S4D(8, 8, generator=generator).to("cuda")
    found = METHODS[name](layer, 4, length=32)
    x = torch.randn(1, 20, 8, device="cuda")
    assert found.module(x).is_cuda
    assert found.error.device.type in ("cuda", "cpu")
    if name != "structured_sparse":  # it is deployed as it is
        assert deployed(distill(layer, 4, name, 32)[0], 32)(x).is_cuda


def test_a_kernel_on_the_device_is_drawn(generator):
    layer = S4D(8, 8, generator=generator).to("cuda")
    whole, forms = distill_models.loudest(layer, "modal", [2, 4], 32)
    assert len(whole) == len(forms[2][0]) == 32


@pytest.mark.slow
def test_a_model_on_the_device_is_healed_and_judged(generator):
    task = TASKS["clocks"](generator, length=16)
    model = distill_models.build(task, 8, generator, width=8, layers=1).to("cuda")
    student, _ = distill(model, 4, "modal", task.length)
    assert len(heal(student, model, task.draw, 2, generator=generator, batch=2, progress=False, loss=task.loss)) == 2
    assert 0 <= task.accuracy(student) <= 1


@pytest.mark.slow
def test_every_form_trains_and_streams_on_the_device(generator):
    sizes = MambaConfig(dim=16, layers=2)
    forms = [mrss.MrssConfig(sizes, form, 1 if form == "wrapped" else 4) for form in FORMS]
    for config in (mrss.MrssConfig(sizes), *forms, *mrss.proposed(sizes, 4).values()):
        model = mrss.model(config, 3, 5, pooling="none", generator=generator).to("cuda")
        x = torch.randn(2, 9, 3, generator=generator).to("cuda")
        (model(x).square().mean() + mrss.balance(model)).backward()
        state = model.initial_state(2)
        for token in x[:, :5].unbind(1):
            y, state = model.step(token, state)
        assert y.is_cuda


@pytest.mark.slow
def test_every_stem_trains_on_the_device(generator):
    for config in mrss.stems(MambaConfig(dim=16, layers=2, vocabulary=7), 4).values():
        model = mrss.model(config, None, 5, generator=generator).to("cuda")
        tokens = torch.randint(7, (2, 9), generator=generator).to("cuda")
        out = model(tokens)
        out.square().mean().backward()
        assert out.is_cuda


def test_scenes_are_told_apart_on_the_device_in_half_precision():
    ours, data = our_clip(torch.bfloat16), named("scenes", 4, 0)
    whole, *_ = clip_outcomes.outcomes(ours, data, [])
    assert whole.accuracy == zero_shot.accuracy(ours, data)


@pytest.mark.slow
def test_pictures_and_toys_of_a_model_on_the_device():
    ours, data = our_clip(), named("scenes", 4, 0)
    assert len(clip_pictures.answered(ours, data, 0.5)[2]) == len(clip_pictures.photographed(ours, side=64)[2])
    assert toys.prompts_alike(ours, ["a photo of a red circle", "a photo of a blue square"])["start"]
    assert clip_outcomes.original_forms(ours, data)[0]["mended"] > 0.99


@pytest.mark.parametrize("method", REDUCTIONS)
def test_every_reduction_says_where_patches_went(method):
    ours = our_clip()
    tower = clip_outcomes.reduce_tokens(ours.model.vision_model, method, 0.5)
    pixels = ours.pixels(named("scenes", 2, 0).images)
    assert tower(pixels).pooler_output.is_cuda
    if method != "original":
        assert tower.traced(pixels)[1].places.is_cuda


@pytest.mark.slow
@pytest.mark.parametrize("way", lora_training.WAYS)
def test_new_words_are_learnt_on_the_device(way):
    plan = lora_training.Plan("scenes", 0, "labels", 1, way=way, batch=2, tested=4)
    ours, (learned, judged) = our_clip(), lora_training.data_of(plan)
    seen = lora_training.prepared(ours, plan)
    assert len(lora_training.trained(ours, seen, learned, plan, progress=False)) == 1
    assert 0 <= zero_shot.accuracy(seen, judged) <= 1


def test_adapters_go_from_the_device_to_a_file_and_back(tmp_path, generator):
    ours, others = our_clip(), our_clip()
    add_lora(ours.model, r".*\.q_proj", 2, 4.0, generator=generator)
    save_lora(ours.model, tmp_path)
    load_lora(others.model, tmp_path)
    pixels = ours.pixels(named("scenes", 2, 0).images)
    assert torch.equal(ours.image_features(pixels).cpu(), others.image_features(pixels).cpu())


def test_a_training_on_the_device_is_kept_and_resumed(tmp_path, generator):
    def model():
        return torch.nn.Linear(3, 2, device="cuda")

    def losses(layer):
        while True:
            yield F.cross_entropy(layer(torch.ones(2, 3, device="cuda")), torch.tensor([0, 1], device="cuda"))

    kept, first = tmp_path / "kept.safetensors", model()
    taken = train(first, losses(first), 2, kept=kept, generator=generator, progress=False)
    again = model()
    assert train(again, losses(again), 2, kept=kept, generator=generator, progress=False) == taken
    assert torch.equal(again.weight.cpu(), first.weight.cpu())


def test_words_of_another_device_are_learnt_there(generator):
    ours = our_clip()
    labels.learn_words(ours, ("orange", "pink"), generator)
    assert ours.text_features(["a pink disc."]).is_cuda
