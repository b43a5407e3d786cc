"""Images of every kind are told apart or refused before a processor sees them."""

import clips
import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from torch.testing import assert_close

from lib.models.clip.load.pictures import pictures
from lib.tasks.data.scenes import scenes


@pytest.fixture(scope="module")
def model():
    return clips.clip()


@pytest.fixture(scope="module")
def images():
    return clips.scenes(3).images


@pytest.fixture(scope="module")
def pixels(model, images):
    """What transformers' own processor makes of images from 0 to 255."""
    return model.processor(images=list(images), return_tensors="pt")["pixel_values"]


def pil(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


SAME = {
    "bytes": lambda x: x,
    "a list": list,
    "a tuple": tuple,
    "a generator": lambda x: (one for one in x),
    "channels last": lambda x: x.permute(0, 2, 3, 1),
    "an array": lambda x: x.numpy(),
    "an array, channels last": lambda x: x.permute(0, 2, 3, 1).numpy(),
    "an array that is mirrored and mirrored back": lambda x: x.flip(1).numpy()[:, ::-1],
    "an array of others' bytes": lambda x: x.numpy().astype(">i4"),
    "pictures": lambda x: [pil(one) for one in x],
    "opaque pictures": lambda x: [pil(one).convert("RGBA") for one in x],
    "one of each": lambda x: [x[0], x[1].permute(1, 2, 0).numpy(), pil(x[2])],
    "long integers": lambda x: x.long(),
    "0 to 1": lambda x: x / 255,
    "0 to 1 in double precision": lambda x: x.double() / 255,
    "0 to 1 in half precision": lambda x: (x / 255).half(),  # 2^-11 of a step of 1/255, as rounding finds it
    "0 to 255": lambda x: x.float(),
    "0 to 1 and 0 to 255 of another type": lambda x: [x[0] / 255, x[1], x[2].int()],
    "a lazy view": lambda x: torch.complex(torch.zeros(x.shape), x / -255).conj().imag,
}


@pytest.mark.parametrize("kind", SAME)
def test_one_image_in_many_forms_gives_the_same_pixels(model, images, pixels, kind):
    assert torch.equal(model.pixels(SAME[kind](images)), pixels)


def test_scenes_as_drawn_are_seen_as_scenes_as_bytes(model):
    drawn = scenes(12, torch.Generator().manual_seed(0)).images
    assert drawn.max() <= 1
    assert torch.equal(model.pixels(drawn), model.pixels(clips.scenes(12).images))


def test_black_and_white_of_zero_and_one_are_not_nearly_black():
    (found,) = pictures([torch.tensor([0.0, 1.0]).expand(3, 2, 2)])
    assert found.unique().tolist() == [0, 255]


def test_grey_is_grey_in_every_form(model, images):
    grey = images[:, :1]
    wanted = model.pixels(grey.expand(-1, 3, -1, -1))
    for given in (grey, grey.permute(0, 2, 3, 1).numpy(), [Image.fromarray(one[0].numpy()) for one in grey]):
        assert torch.equal(model.pixels(given), wanted)


COLOURS = {  # of PIL's modes: a colour there, and what it is in red, green and blue
    "CMYK": ((0, 255, 255, 0), (255, 0, 0)),
    "YCbCr": ((76, 85, 255), (254, 0, 0)),
    "HSV": ((85, 255, 255), (2, 255, 0)),
    "1": (1, (255, 255, 255)),
    "L": (7, (7, 7, 7)),
    "LA": ((0, 0), (255, 255, 255)),
    "RGBA": ((255, 0, 0, 51), (255, 204, 204)),  # a fifth of red before white
}


@pytest.mark.parametrize("mode", COLOURS)
def test_a_mode_of_pil_becomes_its_colours(mode):
    given, wanted = COLOURS[mode]
    (found,) = pictures([Image.new(mode, (4, 4), given)])
    assert found.mode == "RGB"
    assert_close(torch.tensor(found.getpixel((1, 1))), torch.tensor(wanted), atol=2, rtol=0)


def test_palettes_are_looked_up_and_their_transparency_is_white():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert pictures([image])[0].getpixel((0, 0)) == (10, 20, 30)
    image.info["transparency"] = 1
    assert pictures([image])[0].getpixel((0, 0)) == (255, 255, 255)


def zeros(*shape, dtype=torch.uint8):
    return torch.zeros(shape, dtype=dtype)


REFUSED = {
    "normalised": (
        lambda: torch.linspace(-1, 1, 192).view(1, 3, 8, 8),
        "images from -1 to 1 of torch.float32: numbers",
    ),
    "0 to 255, not whole": (lambda: torch.rand(1, 3, 8, 8) * 255, "images from "),
    "beyond 255": (lambda: torch.full((1, 3, 8, 8), 256.0), "images from 256 to 256 of torch.float32"),
    "0 to 1 beside 0 to 255": (lambda: [torch.rand(3, 8, 8), torch.full((3, 8, 8), 99.0)], "images from "),
    "NaN": (lambda: torch.full((1, 3, 8, 8), torch.nan), "images: all of its values must be finite"),
    "bool": (lambda: zeros(1, 3, 8, 8, dtype=torch.bool), "images[0] of torch.bool: whole numbers from 0 to 255"),
    "complex": (lambda: zeros(1, 3, 8, 8, dtype=torch.complex64), "images[0] of torch.complex64: whole numbers"),
    "sixteen bits": (lambda: np.full((1, 3, 8, 8), 999, np.uint16), "images[0] from 999 to 999 of torch.uint16"),
    "negative": (lambda: zeros(1, 3, 8, 8, dtype=torch.int8) - 1, "images[0] from -1 to -1 of torch.int8: numbers"),
    "one alone": (lambda: zeros(3, 8, 8), "images of shape (3, 8, 8): (B, C, H, W) with"),
    "video": (lambda: zeros(1, 2, 3, 8, 8), "images of shape (1, 2, 3, 8, 8): (B, C, H, W) with"),
    "four channels": (lambda: zeros(1, 4, 8, 8), "images[0] of shape (4, 8, 8): (3, H, W) or (H, W, 3) is needed"),
    "either axis": (lambda: zeros(1, 3, 8, 3), "images[0] of shape (3, 8, 3): (3, H, W) or (H, W, 3) is needed, not"),
    "grey without a channel": (lambda: [zeros(8, 8)], "images[0] of shape (8, 8): (3, H, W) or (H, W, 3) is needed"),
    "nothing in it": (lambda: [zeros(3, 0, 8)], "images[0] of shape (3, 0, 8): (3, H, W) with"),
    "a line": (lambda: [Image.new("RGB", (201, 1))], "images[0] of 1 x 201 pixels: sides of 1 or more"),
    "no pixels": (lambda: [Image.new("RGB", (0, 4))], "images[0] of 4 x 0 pixels: sides of 1 or more"),
    "PIL, sixteen bits": (lambda: [Image.new("I;16", (4, 4))], "images[0].mode = 'I;16': one of RGB, L, 1, P"),
    "PIL, 32 bits": (lambda: [Image.new("F", (4, 4))], "images[0].mode = 'F': one of RGB, L, 1, P"),
    "no values": (lambda: zeros(1, 3, 8, 8).to("meta"), "images on meta, of type Tensor: it holds no values"),
    "a gradient": (lambda: torch.rand(1, 3, 8, 8).requires_grad_(), "images requires a gradient, which does not pass"),
    "none": (lambda: [], "images: at least one is needed"),
    "none of a shape": (lambda: zeros(0, 3, 8, 8), "images: at least one is needed"),
}
NO_IMAGES = {
    "a file's name": (lambda: "scene.png", "images is of type str: a list of images, or a tensor (B, 3, H, W)"),
    "names of files": (lambda: ["scene.png"], "images[0] is of type str: a tensor, an array of numbers or a picture"),
    "a picture alone": (lambda: Image.new("RGB", (4, 4)), "images is of type Image: a list of images"),
    "nothing": (lambda: None, "images is of type NoneType: a list of images"),
    "named images": (lambda: {"one": zeros(3, 8, 8)}, "images is of type dict: a list of images"),
    "lists in a list": (lambda: [[zeros(3, 8, 8)]], "images[0] is of type list: a tensor"),
    "objects": (lambda: np.array([[None]]), "images is of type ndarray: a tensor, an array of numbers"),
    "masked": (lambda: np.ma.zeros((1, 3, 8, 8)), "images is of type MaskedArray: a tensor, an array of numbers"),
    "sparse": (lambda: torch.zeros(1, 3, 8, 8).to_sparse(), "images is of layout torch.sparse_coo: a dense tensor"),
}


@pytest.mark.limit(
    "clip",
    "Images that are normalised already, of sixteen bits, of two or four channels, or pictures of PIL's modes I and F",
    "A processor would take their numbers for others, without a word. Give integers from 0 to 255, or floating-point "
    "numbers from 0 to 1. Not noticed: blue before red, and normalised images without a negative number.",
)
@pytest.mark.parametrize("kind", REFUSED)
def test_images_of_another_kind_are_refused_in_a_line(kind):
    given, said = REFUSED[kind]
    with refused(said):
        pictures(given())


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_image_is_named(kind):
    given, said = NO_IMAGES[kind]
    with refused(said, TypeError):
        pictures(given())


def test_images_are_as_they_were(images):
    given = images / 255
    before = given.clone()
    pictures(given)
    assert torch.equal(given, before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[0], "pixels of shape (3, 64, 64): (B, 3, H, W) with"),
        (lambda x: x[:, :1], "pixels of shape (3, 1, 64, 64): (B, 3, H, W) with"),
        (lambda x: x.long(), "pixels of torch.int64: torch.float16 or"),
        (lambda x: x * torch.nan, "pixels: all of its values must be finite"),
        (lambda x: x.to("meta"), "pixels on meta: cpu is needed, where the parameters are"),
        (lambda x: x * 100, "pixels of up to 2"),
    ],
)
def test_pixels_that_a_processor_does_not_make_are_refused(model, pixels, change, said):
    with refused(said):
        model.image_features(change(pixels))
