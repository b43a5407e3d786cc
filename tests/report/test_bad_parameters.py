"""What papermill's command line may be told, from its words to the chapter's own check; only the kernel is left out."""

import pytest
from chapters import asked

from lib.experiments import sizes
from lib.report.parameters import MODELS, ParameterError, check

COUNTS = [
    (chapter, name)
    for chapter, model in MODELS.items()
    for name, field in model.model_fields.items()
    if field.annotation is int
]
every_count = pytest.mark.parametrize(("chapter", "name"), COUNTS)


def refused(chapter, *words):
    with pytest.raises(ParameterError) as caught:
        check(MODELS[chapter], asked(chapter, "-p", "device", "cpu", *words))
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert 20 < len(said) < 700
    return said


def bounds(chapter, name):
    """The smallest and the largest value of a field, and what its values are multiples of."""
    found = MODELS[chapter].model_fields[name]
    rules = {
        key: getattr(rule, key) for rule in found.metadata for key in ("ge", "le", "multiple_of") if hasattr(rule, key)
    }
    return rules["ge"], rules["le"], rules.get("multiple_of", 1)


@pytest.mark.limit(
    "parameters",
    "A count below or above its bounds, such as a million layers",
    "It would hang, or exhaust the memory. The message names both bounds.",
)
@every_count
def test_every_count_says_both_of_its_bounds_to_whoever_exceeds_them(chapter, name):
    least, most, _ = bounds(chapter, name)
    for value in (least - 1, most + 1, 10**23 - 1):
        said = refused(chapter, "-p", name, value)
        assert said.startswith(f"`{name}` is {value}; allowed is ")
        assert f"at least {least}, at most {most}" in said or f"{least} to {most}" in said


@pytest.mark.limit(
    "parameters",
    "A number that comes as a text, as a fraction, or as True",
    "A guess could be wrong in silence. Use papermill's -p, or a number in YAML; -r makes texts.",
)
@every_count
def test_no_count_is_a_fraction_a_truth_or_a_text(chapter, name):
    for option, value in (("-p", "4.5"), ("-p", "True"), ("-r", "16")):
        assert refused(chapter, option, name, value).startswith(f"`{name}` is ")


@pytest.mark.parametrize("chapter", MODELS)
def test_no_word_that_papermill_reads_otherwise_is_a_count(chapter):
    words = ["nan", "inf", "-inf", "1e309", "1e2", "None", "4 x", "0x10", "", "four", "½", "[4]", "9" * 5000, "-0.0"]
    for word in words:
        assert refused(chapter, "-p", "runs", word).startswith("`runs` is ")
    for text in ("[]", "[4, 4]", "[4, a, ~]", "{a: 4}", "{a: {b: [~]}}", "~", "2020-01-01", "4.0", "'4'", "yes"):
        assert refused(chapter, "-y", f"runs: {text}").startswith("`runs` is ")


@every_count
def test_the_smallest_and_the_largest_count_are_allowed(chapter, name):
    least, most, step = bounds(chapter, name)
    model, defaults = MODELS[chapter], asked(chapter)
    for value in (least, least + step, most - most % step):
        values = {key: defaults[key] for key in model.model_fields} | {name: value}
        for other in {"dim", "states", "length"} & set(values) if "order" in values else ():
            values[other] = values[other] if other == name else max(64, values[other])
            values["order"] = min(values["order"], values[other])
        assert getattr(model.model_validate(values), name) == value


EVERYWHERE = [  # words of the command line, the parameter that is named, and what is said of it
    ("-p device cuda:99", "device", "'cpu'"),
    ("-p device GPU", "device", "'auto'"),
    ("-p device mps", "device", "this machine has cpu"),
    ("-p device 0", "device", "'auto'"),
    ("-p dtype torch.float32", "dtype", "'float32'"),
    ("-p dtype None", "dtype", "'float32'"),
    ("-p machine t4", "machine", "there are amd-epyc"),
    ("-p machine ../runs", "machine", "there are amd-epyc"),
    ("-p machine 1", "machine", "a folder of data/runs"),
    ("-p record true", "record", "True or False"),
    ("-p record 1", "record", "True or False"),
    ("-p seed -1", "seed", "at least 0"),
    ("-p sed 4", "sed", "the nearest is `seed`"),
    ("-p SEED 4", "SEED", "the nearest is `seed`"),
    ("-p runs 1", "runs", "at least 2"),
    ("-p PAPERMILL_OTHER 4", "PAPERMILL_OTHER", "is not a parameter of this chapter"),
    ("-p globals_ 4", "globals_", "is not a parameter of this chapter"),
]
BAD = [  # chapter, and the same
    *[(chapter, *one) for chapter in MODELS for one in EVERYWHERE],
    ("mrss", "-p R 4", "R", "the nearest is `r`"),
    ("mrss", "-p r 300", "r", "at most 128"),
    ("mrss", "-p r 99999999999999999999999", "r", "at most 128"),
    ("mrss", "-p longest 100000000000000000000", "longest", "at most 4194304"),
    ("mrss", "-p layers 1000000", "layers", "at most 256"),
    ("mrss", "-p seeds 1000000000", "seeds", "at most 1000"),
    ("mrss", "-p width 66", "width", "a multiple of 4"),
    ("mrss", "-p task digit", "task", "'digits'"),
    ("mrss", "-p retrain 1", "retrain", "True or False"),
    ("mrss", "-p dtype int8", "dtype", "'float64'"),
    ("mrss", "-p batch 1000000", "batch", "needs 61.0 TiB on cpu"),
    ("mrss", "-p length 4194304 -p batch 1000", "length", "are free; lower one of them"),
    ("mrss", "-p dim 65536 -p length 16 -p batch 1", "dim", "needs 208 GiB on cpu"),
    ("mrss", "-p layers 256 -p width 4096", "width", "are free; lower one of them"),
    ("ssm_background", "-p state 4611686018427387904", "state", "at most 256"),
    ("ssm_background", "-p state 7", "state", "an even number"),
    ("ssm_background", "-p state 128", "state", "from 1 to 64"),
    ("ssm_background", "-p dim 30", "dim", "a multiple of 4"),
    ("ssm_background", "-p dim 65536", "dim", "needs 1.62 TiB on cpu"),
    ("ssm_background", "-p batch 1048576", "batch", "are free; lower one of them"),
    ("ssm_background", "-p backend triton", "backend", "'cpp', 'cuda', 'torch' or 'ref'"),
    ("kernel_distillation", "-p order 65", "order", "2 to 64"),
    ("kernel_distillation", "-p order 32 -p dim 16", "order", "`dim` is 16, and nothing has more"),
    ("kernel_distillation", "-p states 1023", "states", "an even number"),
    ("kernel_distillation", "-p method modes", "method", "'modal'"),
    ("kernel_distillation", "-p dtype bfloat16", "dtype", "'float32' or 'float64'"),
    ("kernel_distillation", "-p dim 65536 -p longest 4194304", "longest", "are free; lower one of them"),
    ("clip_vtp", "-p images 100000000000000", "images", "at most 100000"),
    ("clip_vtp", "-p keep 0", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-p keep -0.0", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-p keep nan", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-p keep 1e309", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-p keep True", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-r keep 0.5", "keep", "more than 0, at most 1"),
    ("clip_vtp", "-p method tome", "method", "'merge_in_rounds'"),
    ("clip_vtp", "-p side 464", "side", "at most 448"),
    ("clip_vtp", "-p timed openai/clip", "timed", "openai/clip-vit-base-patch16"),
    ("clip_vtp", "-p model ../../etc", "model", "owner/name of the hub"),
    ("clip_vtp", "-p model /etc/passwd", "model", "clip-scenes-0"),
    ("clip_vtp", "-p model clip-scenes-99", "model", "clip-scenes-0"),
    ("clip_vtp", "-p dataset cifar11", "dataset", "'scenes', 'cifar10', or a folder"),
    ("clip_vtp", "-p dataset /", "dataset", "a folder with its parquet files"),
    ("clip_vtp", "-p batch 1048576", "batch", "are free; lower one of them"),
    ("lora", "-p images 100000000000000", "images", "at most 100000"),
    ("lora", "-p rate nan", "rate", "more than 0, at most 1"),
    ("lora", "-p rate -inf", "rate", "more than 0, at most 1"),
    ("lora", "-p targets (", "targets", "a regular expression; missing )"),
    ("lora", "-p targets nothing", "targets", "no layer has such a name"),
    ("lora", "-p rank 49", "rank", "from 1 to 48"),
    ("lora", "-p rank 1025", "rank", "at most 1024"),
    ("lora", "-p goal label", "goal", "'labels', 'tokens' or 'all'"),
    ("lora", "-p timed ../clip-scenes-0", "timed", "clip-scenes-0"),
    ("lora", "-p model a/../b", "model", "owner/name of the hub"),
    ("lora", "-p learning 1000000 -p accumulate 4096", "learning", "are free; lower one of them"),
    ("lora", "-p batch 1048576", "batch", "are free; lower one of them"),
    ("lora", "-p dtype float64", "dtype", "'float16'"),
    ("claims", "-p r 4", "r", "is not a parameter of this chapter"),
]


def test_there_are_sixty_and_some_of_every_chapter():
    assert len(BAD) > 60
    assert {chapter for chapter, *_ in BAD} == set(MODELS)


@pytest.fixture
def sixteen_gibibytes(monkeypatch):
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 16 * 2**30)


@pytest.mark.usefixtures("sixteen_gibibytes")
@pytest.mark.parametrize(("chapter", "told", "name", "said"), BAD)
def test_a_bad_parameter_is_refused_in_one_line_that_names_it(chapter, told, name, said):
    line = refused(chapter, *told.split())
    assert f"`{name}` " in line or line.startswith(f"{name} = ")
    assert said in line


def test_a_long_value_is_shortened_in_the_middle():
    assert refused("mrss", "-r", "task", "x" * 10**5).count("x") < 100
    assert refused("clip_vtp", "-r", "model", "x" * 10**5).count("x") < 100
    assert refused("clip_vtp", "-r", "dataset", "y/" * 10**5).count("y") < 100
