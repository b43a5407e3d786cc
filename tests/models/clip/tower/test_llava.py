"""LLaVA and CLIPSeg of transformers with reduced towers: fewer image tokens reach the one, a dense grid the other."""

import pytest
import torch
import transformers
from precision import assert_within
from refusals import refused
from towers import KINDS, SIZES, images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tower.llava import fewer_placeholders, image_tokens, seeing_fewer

TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 20}
IMAGE = 19  # the placeholder


def llava(kind="clip"):
    eyes = tower(kind, dtype=torch.float32)
    strategy = "default" if kind == "clip" else "full"
    config = transformers.LlavaConfig(
        vision_config=eyes.config,
        text_config=transformers.LlamaConfig(**TEXT),
        image_token_index=IMAGE,
        vision_feature_select_strategy=strategy,
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config).eval()
    model.model.vision_tower = eyes
    return model


def inputs(count=16):
    """Two texts with one image each, as a processor makes them."""
    ids = torch.tensor([[1, *[IMAGE] * count, 2, 3], [4, 5, *[IMAGE] * count, 6]])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": images(2, dtype=torch.float32),
    }


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_with_all_tokens_it_is_the_model_to_the_last_bit(kind):
    model = llava(kind)
    same = seeing_fewer(model, "merge", 1.0)
    assert image_tokens(same) == image_tokens(model) == 16
    given = fewer_placeholders(same, inputs())
    assert torch.equal(given["input_ids"], inputs()["input_ids"])
    assert torch.equal(same(**given).logits, model(**inputs()).logits)
    assert type(model.model.vision_tower) is type(tower(kind))  # the model stays as it was


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_fewer_image_tokens_reach_the_language_model(kind):
    model = llava(kind)
    few = seeing_fewer(model, "merge", 0.5, schedule=[6, 2, 0])
    assert image_tokens(few) == 8
    given = fewer_placeholders(few, inputs())
    assert given["input_ids"].tolist() == [[1, *[IMAGE] * 8, 2, 3], [4, 5, *[IMAGE] * 8, 6]]
    assert given["attention_mask"].shape == (2, 11)
    # by hand: features of the last layer but one, projected, between the words
    states = reduce_tokens(model.model.vision_tower, "merge", 0.5, schedule=[6, 2, 0])(
        given["pixel_values"], output_hidden_states=True
    ).hidden_states
    seen = model.model.multi_modal_projector(states[-2][:, int(kind == "clip") :])
    words = model.get_input_embeddings()(given["input_ids"])
    words[0, 1:9], words[1, 2:10] = seen
    assert_within(few(**given).logits, model(inputs_embeds=words).logits, 1e-5)
    longer = few.generate(**given, max_new_tokens=2, do_sample=False, eos_token_id=None)
    assert longer.shape == (2, 13)


def test_placeholders_of_several_images_are_cut_one_by_one():
    few = seeing_fewer(llava(), "random", 0.25)
    ids = torch.tensor([[1, *[IMAGE] * 16, 2, *[IMAGE] * 16]])
    given = fewer_placeholders(few, {"input_ids": ids, "labels": ids + 1, "more": [3]})
    assert given["input_ids"].tolist() == [[1, *[IMAGE] * 4, 2, *[IMAGE] * 4]]
    assert torch.equal(given["labels"], given["input_ids"] + 1)
    assert given["more"] == [3]


def test_a_dense_tower_needs_every_placeholder():
    assert image_tokens(seeing_fewer(llava(), "merge", 0.5, dense=True)) == 16


@pytest.mark.limit(
    "clip",
    "LLaVA with a method by which each image keeps its own number of tokens, and texts whose numbers of images differ",
    "A batch has texts of one length, and a text has its placeholders before an image is seen.",
)
def test_what_does_not_fit_a_text_is_refused():
    model = llava()
    with refused("method = 'adaptive': every image has its own number of tokens"):
        seeing_fewer(model, "adaptive", 0.5)
    few = seeing_fewer(model, "merge", 0.5)
    with refused("input_ids with [15, 15] placeholders: as many in each row, and a multiple of 16, are needed"):
        fewer_placeholders(few, inputs(15))
    uneven = torch.tensor([[IMAGE] * 32, [1] * 16 + [IMAGE] * 16])
    with refused("input_ids with [32, 16] placeholders"):
        fewer_placeholders(few, {"input_ids": uneven})
    with refused("LlavaForConditionalGeneration with a reduced tower already", TypeError):
        seeing_fewer(few, "merge", 0.5)
    with refused("CLIPVisionModel: LlavaForConditionalGeneration of transformers is needed", TypeError):
        seeing_fewer(tower(), "merge", 0.5)
    model.config.vision_feature_layer = [1, -1]
    with refused("vision_feature_layer = [1, -1]: their numbers of tokens differ"):
        seeing_fewer(model, "merge", 0.5)


@torch.no_grad()
def test_clipseg_segments_with_a_dense_tower():
    eyes = tower("clipseg", dtype=torch.float32)
    config = transformers.CLIPSegConfig(
        vision_config=eyes.config.to_dict(),
        text_config={**SIZES, "vocab_size": 20},
        projection_dim=8,
        extract_layers=[0, 1],
        reduce_dim=8,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=8,
    )
    torch.manual_seed(0)
    model = transformers.CLIPSegForImageSegmentation(config).eval()
    model.clip.vision_model = eyes
    given = {"pixel_values": images(2, dtype=torch.float32), "conditional_embeddings": torch.randn(2, 8)}
    wanted = model(**given).logits
    model.clip.vision_model = reduce_tokens(eyes, "merge")
    assert torch.equal(model(**given).logits, wanted)
    model.clip.vision_model = reduce_tokens(eyes, "merge", 0.5, dense=True)
    found = model(**given).logits
    assert found.shape == wanted.shape
    assert not torch.equal(found, wanted)
    model.clip.vision_model = reduce_tokens(eyes, "merge", 0.5)
    with pytest.raises(RuntimeError):  # no grid of patches is there to decode
        model(**given)
