"""What people reported of papermill, with this book's chapters; no kernel is started."""

import logging

import chapters
import papermill
import pytest
from chapters import asked
from click.testing import CliRunner
from papermill import cli

from lib.experiments import sizes
from lib.paths import BOOK
from lib.report.parameters import MODELS, ParameterError, check

every_chapter = pytest.mark.parametrize("chapter", MODELS)


def checked(chapter, *words):
    return check(MODELS[chapter], asked(chapter, "-p", "device", "cpu", *words))


@pytest.mark.limit(
    "parameters",
    "A name that the chapter does not know",
    "papermill warns of it and goes on with the default. The message gives the nearest name, and all.",
)
@every_chapter
@pytest.mark.reported("nteract/papermill", 818)
def test_an_unknown_parameter_ends_the_run(chapter):
    """A parameter that the notebook did not know was passed, warned of, and ignored."""
    with pytest.raises(ParameterError, match=r"^`sedd` is not a parameter of this chapter; the nearest is `seed`"):
        checked(chapter, "-p", "sedd", "3")


@every_chapter
@pytest.mark.reported("nteract/papermill", 721)
def test_the_help_of_a_chapter_lists_every_parameter_with_its_comment(chapter, caplog):
    """A parameter whose comment held an equals sign was missing in what `--help-notebook` prints."""
    with caplog.at_level(logging.WARNING):
        said = CliRunner().invoke(cli.papermill, ["--help-notebook", str(BOOK / f"{chapter}.ipynb")]).output
    assert not caplog.messages
    for name, field in papermill.inspect_notebook(BOOK / f"{chapter}.ipynb").items():
        assert f"  {name}: {field['inferred_type_name']} (default {field['default']})" in said
        assert len(field["help"]) > 4
    assert len([line for line in said.splitlines() if "(default " in line]) == len(MODELS[chapter].model_fields)


@every_chapter
@pytest.mark.reported("nteract/papermill", 545)
def test_the_types_of_parameters_are_known_to_whoever_inspects_a_chapter(chapter):
    """Inspecting a notebook gave no types at all."""
    for name, field in papermill.inspect_notebook(BOOK / f"{chapter}.ipynb").items():
        assert field["inferred_type_name"] in ("int", "float", "str", "bool"), name


@pytest.mark.reported("nteract/papermill", 864)
def test_a_text_with_an_equals_sign_arrives_whole():
    """A text that held an equals sign made its parameter unknown."""
    for text in (r"(?=text).*\.fc\d", r"a=b|.*\.fc1"):
        assert checked("lora", "-r", "targets", text).targets == text


@pytest.mark.reported("nteract/papermill", 396)
def test_a_list_on_the_command_line_is_a_text_and_refused_as_one():
    """A list given by -p came as the text of a list."""
    with pytest.raises(ParameterError, match=r"^`r` is '\[1, 2\]'; allowed is a downsampling factor"):
        checked("mrss", "-p", "r", "[1, 2]")
    with pytest.raises(ParameterError, match=r"^`r` is \[1, 2\]; allowed is a downsampling factor"):
        checked("mrss", "-y", "r: [1, 2]")


@every_chapter
@pytest.mark.parametrize("option", ["--inject-paths", "--inject-input-path", "--inject-output-path"])
@pytest.mark.reported("nteract/papermill", 231)
def test_the_paths_that_papermill_injects_are_its_own(chapter, option):
    """Somebody wanted the path of the output notebook inside the notebook, and papermill got an option for it."""
    found = asked(chapter, option)
    assert any(name.startswith("PAPERMILL_") for name in found)
    assert check(MODELS[chapter], found).seed == 42


@pytest.mark.reported("nteract/papermill", 478)
def test_a_size_that_would_flood_the_memory_is_refused_before_the_kernel_dies(monkeypatch):
    """The kernel died without a reason, its memory full."""
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 2**30)
    for chapter, name, value in (
        ("ssm_background", "batch", 2**12),
        ("mrss", "longest", 2**22),
        ("kernel_distillation", "longest", 2**22),
        ("clip_vtp", "images", 10**5),
        ("lora", "learning", 10**5),
    ):
        with pytest.raises(ParameterError, match=rf"`{name}` {value}\b.*: needs .*[GT]iB on cpu, 1\.00 GiB are free"):
            checked(chapter, "-p", name, value)


@pytest.mark.reported("nteract/papermill", 300)
def test_parameters_may_stand_in_the_name_of_the_output(tmp_path):
    """Somebody wanted names of output notebooks to be made of parameters."""
    place = str(tmp_path / "a place, r {r}.ipynb")
    papermill.execute_notebook(BOOK / "mrss.ipynb", place, parameters={"r": 3}, prepare_only=True, progress_bar=False)
    made = papermill.iorw.load_notebook_node(str(tmp_path / "a place, r 3.ipynb"))
    assert made.metadata.papermill.parameters == {"r": 3}
    assert [cell.source for cell in chapters.tagged(made, "injected-parameters")] == ["# Parameters\nr = 3\n"]
