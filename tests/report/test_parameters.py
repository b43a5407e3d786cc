import base64

import papermill
import pytest
import torch
from chapters import asked

from lib import names
from lib.experiments import sizes
from lib.paths import BOOK, PRESETS
from lib.report.assigned import MARK
from lib.report.parameters import MODELS, KernelDistillation, Mrss, ParameterError, SsmBackground, Verdicts, check

GOOD = {
    "r": 4, "batch": 2, "length": 64, "dim": 8, "taps": 5, "runs": 2, "warmup": 0,
    "longest": 256, "width": 64, "layers": 2, "retrain": False, "task": "digits", "seeds": 2, "steps": 0,
    "seed": 1, "device": "cpu", "dtype": "float32", "record": False, "machine": "auto",
}  # fmt: skip
CELL = (
    MARK + "\n" + "\n".join(f"{name}: {type(value).__name__} = {value!r}  # a comment" for name, value in GOOD.items())
)


def notebook(injected="", **changed):
    return {**GOOD, **changed, "In": ["", CELL, f"{MARK}\n{injected}", "import sys\nunrelated = 1"]}


def test_good_parameters_pass():
    p = check(Mrss, notebook("r = 8", r=8))
    assert p.r == 8
    assert p.timing == {"runs": 2, "warmup": 0, "device": "cpu"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("r", 0, "`r` is 0; allowed is a downsampling factor, a whole number, at least 1"),
        ("r", "abc", "`r` is 'abc'; allowed is a downsampling factor"),
        ("r", 2.5, "`r` is 2.5; allowed is"),
        ("r", True, "`r` is True; allowed is"),
        ("length", 8, "`length` is 8; allowed is .* at least 16"),
        ("dtype", "float31", "`dtype` is 'float31'; allowed is 'float32', 'float64'"),
        ("device", "tpu", "`device` is 'tpu'; allowed is 'auto', 'cpu'.*this machine has cpu"),
        ("record", 1, "`record` is 1; allowed is True or False"),
        ("seed", -1, "`seed` is -1; allowed is"),
        ("task", "digit", "`task` is 'digit'; allowed is 'digits', 'clocks'.* or 'all'"),
        ("seeds", 1, "`seeds` is 1; allowed is a number of trainings of each kind, a whole number, at least 2"),
        ("width", 66, "`width` is 66; allowed is .* a multiple of 4"),
        (
            "machine",
            "t4",
            r"`machine` is 't4'; allowed is 'auto', or a folder.*there are amd-epyc",
        ),
    ],
)
def test_a_bad_value_gets_one_line_with_what_is_allowed(name, value, allowed):
    with pytest.raises(ParameterError, match=allowed) as caught:
        check(Mrss, notebook(**{name: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_where_there_is_one(monkeypatch, there, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert check(Mrss, notebook(device="auto")).device == device


@pytest.mark.parametrize("chapter", sorted(set(names.CHAPTERS) - {"claims"}))  # that one times nothing
def test_whoever_opens_a_chapter_and_runs_it_uses_their_gpu(chapter):
    defaults = papermill.inspect_notebook(BOOK / f"{chapter}.ipynb")
    assert defaults["device"]["default"] == '"auto"'


def test_tasks_are_those_that_exist():
    assert check(Mrss, notebook(task="all")).tasks == tuple(names.SEQUENCES)
    assert check(Mrss, notebook(task="clocks")).tasks == ("clocks",)


def test_the_reference_machine_is_chosen_or_left_to_the_records():
    assert check(Mrss, notebook()).machine is None
    assert check(Mrss, notebook(machine="amd-epyc-2-cores")).machine == "amd-epyc-2-cores"


def test_names_that_papermill_injects_for_itself_are_its_own():
    assert check(Mrss, notebook("PAPERMILL_INPUT_PATH = 'a'"))


@pytest.mark.parametrize(("typo", "near"), [("rr", "r"), ("lenght", "length"), ("bach", "batch")])
def test_an_unknown_name_gets_the_nearest_one(typo, near):
    with pytest.raises(ParameterError, match=f"`{typo}` is not a parameter of this chapter; the nearest is `{near}`"):
        check(Mrss, notebook(f"{typo} = 4"))


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(ParameterError, match=r"`zzzzzz` is not a parameter of this chapter\. There are: .*\br\b"):
        check(Mrss, notebook("zzzzzz = 4"))


def test_a_typo_mended_and_run_again_is_forgotten():
    namespace = notebook("rr = 4")
    namespace["In"].append(CELL)
    assert check(Mrss, namespace).r == 4


def test_names_of_other_cells_are_nobodys_business():
    assert check(Mrss, notebook() | {"unrelated": 1})


def test_a_skipped_parameters_cell_is_told():
    with pytest.raises(ParameterError, match=r"batch.*not set; run the parameters cell first"):
        check(Mrss, {"r": 4, "In": []})


def test_the_message_is_shown_without_a_traceback():
    assert ParameterError("plain")._render_traceback_() == ["ParameterError: plain"]


def test_a_run_that_cannot_fit_is_refused_with_both_sizes(monkeypatch):
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 2**30)
    assert check(Mrss, notebook())
    with pytest.raises(ParameterError) as caught:
        check(Mrss, notebook(dim=16384))
    assert str(caught.value).startswith("`batch` 2, `length` 64, `dim` 16384: needs ")


SSM = {
    "batch": 1, "length": 256, "dim": 16, "state": 4, "backend": "auto", "steps": 3, "runs": 2, "warmup": 0,
    "seed": 1, "device": "cpu", "dtype": "float32", "record": False, "machine": "auto",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("length", 128, "`length` is 128; allowed is the longest sequence in tokens, a whole number, at least 256"),
        ("dim", 30, "`dim` is 30; allowed is a number of channels, a multiple of 4, at least 4"),
        ("state", 7, "`state` is 7; allowed is states per channel, an even number, at least 2"),
        ("backend", "triton", "`backend` is 'triton'; allowed is 'auto', 'cpp', 'cuda', 'torch' or 'ref'"),
        ("steps", 0, "`steps` is 0; allowed is a number of training steps, a whole number, at least 1"),
    ],
)
def test_the_chapter_on_state_space_models_says_what_it_allows(name, value, allowed):
    cell = "\n".join([MARK, *(f"{key} = {one!r}" for key, one in SSM.items())])
    with pytest.raises(ParameterError, match=allowed):
        check(SsmBackground, {**SSM, name: value, "In": [cell]})


def distilled(**changed):
    values = {name: GOOD[name] for name in ("seed", "device", "dtype", "runs", "warmup", "record", "machine")} | {
        "dim": 16, "states": 32, "length": 64, "longest": 1024, "method": "modal", "order": 8, "healing": 5,
        "retrain": False, "task": "all", "seeds": 2, "steps": 0,
    } | changed  # fmt: skip
    return KernelDistillation(**values)


def test_no_order_is_larger_than_what_there_is():
    assert distilled().tasks == ("digits", "plugs", "clocks")
    assert distilled(task="plugs").tasks == ("plugs",)
    for name in ("dim", "states", "length"):
        with pytest.raises(ValueError, match=f"`{name}` is 16, and nothing has more"):
            distilled(**{"dim": 64, name: 16, "order": 32})


def test_an_order_out_of_range_gets_one_line():
    cell = CELL.splitlines()[0] + "\n" + "\n".join(f"{name}: int = 0  # a" for name in KernelDistillation.model_fields)
    values = distilled().model_dump() | {"order": 32, "dim": 16}
    with pytest.raises(
        ParameterError, match=r"`order` is 32; allowed is states, a rank or taps .* `dim` is 16"
    ) as caught:
        check(KernelDistillation, values | {"In": ["", cell]})
    assert "\n" not in str(caught.value)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def filed(folder, text):
    (folder / "p, é's.yml").write_text(text)
    return str(folder / "p, é's.yml")


def test_every_way_of_papermill_to_give_a_parameter_works_and_the_last_word_counts(tmp_path):
    for words, runs in (
        (("-p", "runs", "3"), 3),
        (("-p", "runs", "007"), 7),
        (("-y", "{runs: 3}"), 3),
        (("-y", ""), 2),
        (("-b", encoded("runs: 3")), 3),
        (("-f", filed(tmp_path, "# comment, x = 1\nruns: 3\n")), 3),
        (("-p", "runs", "3", "-p", "runs", "4"), 4),
        (("-p", "runs", "3", "-y", "runs: 4", "-b", encoded("runs: 5")), 3),
        (("-r", "machine", "amd-epyc-2-cores", "-r", "device", "cpu"), 2),
    ):
        assert check(Verdicts, asked("claims", *words)).runs == runs


@pytest.mark.parametrize("text", ["runs: 3\nrnus: 4", "1: 4", "runs: {runs: 3}", "runs:", "null: 3"])
def test_what_a_file_of_parameters_says_wrongly_is_refused(text, tmp_path):
    for words in (("-y", text), ("-b", encoded(text)), ("-f", filed(tmp_path, text))):
        with pytest.raises((ParameterError, SyntaxError)):
            check(Verdicts, asked("claims", *words))


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*/smoke.yml")), ids=lambda path: path.parent.name)
def test_presets_pass(preset):
    chapter = preset.parent.name
    if chapter in MODELS:
        assert check(MODELS[chapter], asked(chapter, "-f", preset)).device == "cpu"


@pytest.mark.parametrize("name", ["In", "Out", "get_ipython", "_", "__name__", "x.y", "In[0]"])
def test_a_name_that_is_somebody_elses_is_no_parameter(name):
    namespace = notebook(f"{name} = 4")
    with pytest.raises(ParameterError, match="is not a parameter of this chapter"):
        check(Mrss, namespace)


def test_a_cell_that_could_not_be_run_is_forgotten():
    namespace = notebook()
    namespace["In"].insert(2, f"{MARK}\nmy-name = 3\nrr = ")
    assert check(Mrss, namespace).r == 4


@pytest.mark.parametrize("chapter", MODELS)
def test_the_sizes_of_a_gpu_of_15_gib_fit_into_it_and_into_its_host(chapter, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sizes, "available_bytes", lambda device: (14 if str(device) == "cuda" else 11) * 2**30)
    preset = PRESETS / chapter / "gpu.yml"
    assert check(MODELS[chapter], asked(chapter, "-f", preset, "-p", "record", "False")).device == "cuda"
