"""Images and texts of a CLIP: what users of CLIP, open_clip and transformers reported, and what becomes of it here."""

import io

import clips
import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from torch.testing import assert_close

from lib.models.clip import load as clip
from lib.models.clip.load.pictures import pictures
from lib.tasks import zero_shot
from lib.tasks.data import labels
from lib.tasks.data.images import Images

TEXTS = ["a red disc.", "there is a blue star in the picture."]


@pytest.fixture(scope="module")
def model():
    return clips.clip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clips.folder(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def images():
    return clips.scenes(4).images


@pytest.mark.reported("huggingface/transformers", 24857)
def test_images_from_a_conversion_to_tensors_are_not_scaled_twice(model, images):
    """Floating-point images were divided by 255 once more and came out nearly black."""
    assert torch.equal(model.pixels(images / 255), model.pixels(images))


@pytest.mark.reported("huggingface/transformers", 29548)
def test_tensors_and_pictures_of_the_same_images_are_classified_alike(model, images):
    """A processor made one thing of tensors and another of the pictures that they came from."""
    tensors = list(images.float() / 255)
    kept = [Image.fromarray(one.permute(1, 2, 0).numpy()) for one in images]
    assert torch.equal(model.pixels(tensors), model.pixels(kept))


@pytest.mark.reported("huggingface/transformers", 22458)
@pytest.mark.parametrize("side", [64, 80])
def test_the_range_does_not_depend_on_whether_an_image_is_resized(model, side):
    """Images from 0 to 1 kept another range where they were resized than where they were not."""
    white = torch.ones(1, 3, side, side)
    mean, std = (
        torch.tensor(one, dtype=torch.float64) for one in (model.processor.image_mean, model.processor.image_std)
    )
    wanted = ((1 - mean) / std).float()[:, None, None].expand(3, 64, 64)
    # One rounding of each of mean, deviation, difference and quotient.
    assert_close(model.pixels(white)[0], wanted, rtol=4 * 2**-23, atol=0)


@pytest.mark.reported("huggingface/transformers", 26542)
def test_an_image_of_zeros_and_ones_is_black_and_white(model):
    """Such images came out as NaN, or were taken for nearly black ones."""
    image = torch.randint(2, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    found = model.pixels(image)
    assert found.isfinite().all()
    assert torch.equal(found, model.pixels((image * 255).to(torch.uint8)))


@pytest.mark.reported("huggingface/transformers", 17101)
def test_a_picture_with_an_opaque_alpha_is_the_picture(model, images):
    """Pictures in RGBA ended in shapes that do not broadcast."""
    kept = [Image.fromarray(one.permute(1, 2, 0).numpy()).convert("RGBA") for one in images]
    assert torch.equal(model.pixels(kept), model.pixels(images))


@pytest.mark.reported("openai/CLIP", 422)
def test_what_lies_hidden_under_transparency_is_not_seen():
    """Dropping the alpha channel shows colours that no viewer shows."""
    one, other = (pictures([Image.new("RGBA", (4, 4), (*hidden, 0))])[0] for hidden in ((0, 0, 0), (240, 30, 10)))
    assert one.getpixel((0, 0)) == other.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.reported("huggingface/transformers", 49003)
@pytest.mark.parametrize(("mode", "colour"), [("RGB", (255, 0, 0)), ("L", 9)])
def test_a_colour_that_a_file_calls_transparent_is_white(mode, colour):
    """PNG names a transparent colour beside the mode, which was asked alone."""
    file = io.BytesIO()
    Image.new(mode, (4, 4), colour).save(file, format="PNG", transparency=colour)
    assert pictures([Image.open(file)])[0].getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.reported("openai/CLIP", 244)
def test_four_channels_without_a_name_are_refused(images):
    """An array of four channels did not broadcast with three means."""
    four = torch.cat([images, images[:, :1]], dim=1)
    with refused("images[0] of shape (4, 64, 64): (3, H, W) or (H, W, 3) is needed"):
        pictures(four)


@pytest.mark.reported("huggingface/transformers", 21638)
def test_a_picture_of_one_pixel_is_its_colour_everywhere(model):
    """Of one pixel by one, no axis can be told to hold the channels, and resizing failed."""
    found = model.pixels([Image.new("RGB", (1, 1), (10, 20, 30))])
    assert torch.equal(found, model.pixels([Image.new("RGB", (64, 64), (10, 20, 30))]))
    with refused("images[0] of shape (3, 1, 1): (3, H, W) or (H, W, 3) is needed, not both"):
        model.pixels(torch.zeros(1, 3, 1, 1))


@pytest.mark.reported("python-pillow/Pillow", 2574)
def test_a_grey_picture_of_sixteen_bits_is_refused_instead_of_white():
    """Converted to RGB, all that is above 255 of 65,535 is white."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 9000, np.uint16)).save(file, format="PNG")
    with refused("images[0].mode = 'I"):
        pictures([Image.open(file)])


@pytest.mark.reported("huggingface/transformers", 24650)
def test_a_new_word_is_not_taken_for_the_end_of_a_text():
    """Reading at the highest token, a text tower stopped at any word that was added later."""
    after = clips.clip()
    labels.learn_words(after, ("inverted",), torch.Generator().manual_seed(0))
    with torch.inference_mode():
        one, two = after.text_features(["an inverted red disc.", "an inverted blue star."])
    assert (one - two).norm() > 1e-3


@pytest.mark.reported("huggingface/diffusers", 10754)
def test_a_config_of_another_end_than_the_tokenizers_is_refused(folder, tmp_path):
    """Configs say that the end is token 2, their tokenizers end texts with another."""
    copy = clips.copied(folder, tmp_path)
    clips.change(copy, "config.json", "text_config.eos_token_id", 2)
    with refused(f"{str(copy)!r}: eos_token_id = 2 in its config"):
        clip.load(str(copy))


@pytest.mark.reported("mlfoundations/open_clip", 1151)
def test_a_text_without_its_end_is_not_read_at_its_start():
    """Where the end token is missing, the first place was read: the same for every text."""
    model = clips.clip()
    model.tokenizer.backend_tokenizer.post_processor = None
    with refused("texts[0] = 'a red disc.': clip-scenes-0 would not read it at its end"):
        model.text_features(TEXTS)


@pytest.mark.reported("keras-team/keras-cv", 2387)
def test_classes_that_are_all_the_same_are_refused(model):
    """Every class got the same chance, a third each of three."""
    model = clips.clip()
    model.model.text_model.eos_token_id = 5
    inputs = model.tokenizer(["a red disc.", "a red star."], return_tensors="pt")
    rows = torch.nn.functional.normalize(model.model.get_text_features(**inputs).pooler_output, dim=-1)
    with refused("classes 0 and 1 are the same: no image could tell them apart"):
        zero_shot.predictions(torch.eye(48), rows[:1].expand(2, -1))


@pytest.mark.reported("openai/CLIP", 8)
def test_an_end_after_punctuation_is_an_end(model):
    """After a question mark the end was split into letters, and the text read elsewhere."""
    texts = ["a red disc?", "a red disc!"]
    assert_close(model.text_features(texts), torch.cat([model.text_features([text]) for text in texts]))
    assert model.tokenizer(texts[0])["input_ids"][-1] == model.tokenizer.eos_token_id


@pytest.mark.reported("openai/CLIP", 187)
def test_a_text_that_is_too_long_is_named_with_the_bound(model):
    """The message named a context length, and was read as a number of letters."""
    with refused("'red red red red red red red red red red red red red red red red': more than the 16 tokens that"):
        model.text_features(["a red disc.", " ".join(["red"] * 16)])


@pytest.mark.reported("openai/CLIP", 147)
@pytest.mark.reported("openai/CLIP", 198)
def test_one_at_a_time_gives_the_features_of_all_at_once(images):
    """Features of one image or text differed from those of the same in a batch, by rounding."""
    exact = clips.clip()
    exact.model.double()
    with torch.inference_mode():
        pixels = exact.pixels(images)
        apart = torch.cat([exact.image_features(one.unsqueeze(0)) for one in pixels])
        assert_close(exact.image_features(pixels), apart)
        assert_close(exact.text_features(TEXTS), torch.cat([exact.text_features([text]) for text in TEXTS]))


@pytest.mark.reported("mlfoundations/open_clip", 70)
def test_features_have_unit_length_so_that_products_are_cosines(model, images):
    """An example multiplied features that were not normed."""
    found = torch.cat([model.image_features(model.pixels(images)), model.text_features(TEXTS)])
    # A sum of 48 squares, its root and a quotient, each rounded once.
    assert_close(found.norm(dim=1), torch.ones(len(found)), rtol=50 * 2**-24, atol=0)


@pytest.mark.reported("openai/CLIP", 222)
def test_features_that_are_no_numbers_are_refused_instead_of_scored(images):
    """All chances were NaN, in half precision on a GPU alone."""
    model = clips.clip()
    model.model.visual_projection.weight.data[0] = torch.inf
    with torch.inference_mode(), refused("images[0]: its features are not finite"):
        model.image_features(model.pixels(images))
    with refused("features: all of its values must be finite"):
        zero_shot.predictions(torch.full((1, 4), torch.nan), torch.eye(4))


@pytest.mark.reported("openai/CLIP", 235)
@pytest.mark.reported("mlfoundations/open_clip", 917)
def test_two_classes_of_one_name_are_refused(images):
    """ImageNet's list has two classes named missile and two named sunglasses; the second is never answered."""
    names = ("missile", "sunglasses", "missile", "sunglasses")
    with refused("names[0] and names[2] are both 'missile': each must be another"):
        Images(images, torch.arange(4), names, ("a {}.",))


@pytest.mark.reported("embeddings-benchmark/mteb", 1424)
@pytest.mark.reported("huggingface/transformers", 28578)
def test_a_siglip_reads_every_text_at_one_length(tmp_path):
    """Without padding to one length, SigLIP reads at a place that it was not trained for: 10 % instead of 80 %."""
    found = clip.load(str(clips.siglip(tmp_path)))
    with torch.inference_mode():
        together, alone = found.text_features(TEXTS), found.text_features(TEXTS[:1])
        inputs = found.tokenizer(TEXTS[:1], padding="max_length", max_length=16, return_tensors="pt")
        wanted = found.model.get_text_features(**inputs).pooler_output
    assert_close(together[:1], alone)
    assert_close(alone, wanted / wanted.norm())


@pytest.mark.reported("huggingface/transformers", 43101)
@pytest.mark.reported("NVlabs/RADIO", 142)
def test_a_tokenizer_that_keeps_capitals_is_refused(folder, tmp_path):
    """SigLIP 2 was trained on small letters, its tokenizer kept capitals: accuracy fell by a tenth."""
    copy = clips.copied(folder, tmp_path)
    clips.change(copy, "tokenizer.json", "normalizer", None)
    with refused(f"{str(copy)!r}: its tokenizer tells 'A' from 'a'"):
        clip.load(str(copy))


@pytest.mark.reported("mlfoundations/open_clip", 453)
@pytest.mark.reported("pytorch/text", 1630)
def test_a_tokenizer_that_writes_no_start_and_end_is_refused(folder, tmp_path):
    """Some tokenizers of CLIP have start and end in their vocabulary and never write them."""
    copy = clips.copied(folder, tmp_path)
    clips.change(copy, "tokenizer.json", "post_processor", None)
    with refused(f"{str(copy)!r}: start of a text 5 in what its tokenizer writes, 2 in its bos_token_id"):
        clip.load(str(copy))
