import re

import pytest
from layers import ALLOWED, LOW, circles, complaints, crowded, imported, loads, oversized

from lib.paths import LIB, ROOT, SOURCES


def test_imports_point_one_way():
    assert complaints(LIB) == []


@pytest.mark.parametrize(
    "line",
    [
        "from lib.report.tables import table",
        "import lib.report.tables",
        "from lib import report",
        "def late():\n    from lib.report import tables",
    ],
)
def test_an_arrow_that_points_back_is_found(tmp_path, line):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/proxy.py").write_text(line)
    assert complaints(tmp_path) == ["models/proxy.py: models may not import lib.report"]


@pytest.mark.parametrize(
    ("layer", "target"),
    [
        ("kernels", "models"),
        ("models", "profilers"),
        ("models", "tasks"),
        ("profilers", "models"),
        ("profilers", "kernels"),
        ("tasks", "records"),
        ("tasks", "experiments"),
        ("records", "models"),
        ("experiments", "report"),
        ("report", "models"),
        ("names", "paths"),
    ],
)
def test_what_the_design_forbids_is_not_allowed(layer, target):
    assert target not in ALLOWED[layer]


def test_experiments_write_records_and_reports_read_both():
    assert {"tasks", "models", "records"} <= ALLOWED["experiments"]
    assert {"experiments", "records"} <= ALLOWED["report"]


def test_every_layer_may_read_the_names():
    others = ALLOWED.keys() - LOW - {"colab", "requirements", "__init__"}
    assert [layer for layer in others if "names" not in ALLOWED[layer]] == []


def test_the_library_lists_its_layers():
    listed = re.findall(r"^    ([a-z]{4,}) ", (LIB / "__init__.py").read_text(), re.MULTILINE)
    assert {*listed} == ALLOWED.keys() - {"__init__"}


def test_an_unknown_layer_is_found(tmp_path):
    (tmp_path / "utils.py").touch()
    assert complaints(tmp_path) == ["utils.py: no layer is named utils"]


def test_imports_of_others_do_not_count(tmp_path):
    (tmp_path / "a.py").write_text("import torch.lib\nfrom library import report\nimport lib.paths")
    assert imported(tmp_path / "a.py") == {"paths"}


def test_no_layer_reaches_itself_through_others():
    reach = {layer: set(below) - {layer} for layer, below in ALLOWED.items()}
    for _ in reach:
        reach = {layer: below | {deep for name in below for deep in reach[name]} for layer, below in reach.items()}
    assert not [layer for layer, below in reach.items() if layer in below]


def test_no_file_imports_itself_through_others():
    assert circles(LIB) == []


def test_the_graph_of_imports_is_the_one_that_python_loads():
    graph = loads(LIB)
    assert graph["lib.models.mrss.variants"] >= {"lib.models.ssm", "lib.models.ssm.mamba"}
    assert "lib.models" not in graph["lib.models.mrss.variants"]


@pytest.fixture
def lib(tmp_path):
    """A library of a room with two files; what they hold is the test's to write."""
    for name in ("__init__", "room/__init__", "room/a", "room/b"):
        path = tmp_path / f"lib/{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path / "lib"


@pytest.mark.parametrize(
    "texts",
    [
        {"room/a": "from lib.room.b import x", "room/b": "import lib.room.a"},
        {"room/a": "from lib.room import b", "room/b": "if True:\n    from lib.room import a"},
        {"room/__init__": "from lib.room import a", "room/a": "from lib.room import CONTRACT"},
        {"c": "import lib.room.a", "room/__init__": "from lib.c import x"},
    ],
)
def test_a_circle_is_found(lib, texts):
    for name, text in texts.items():
        (lib / f"{name}.py").write_text(text)
    (found,) = circles(lib)
    assert all(f"lib/{name}".removesuffix("/__init__").replace("/", ".") in found for name in texts)


@pytest.mark.parametrize(
    "texts",
    [
        {"room/__init__": "from lib.room import a, b", "room/a": "from lib.room.b import x"},
        {"room/a": "def late():\n    import lib.room.b", "room/b": "import lib.room.a"},
        {"room/a": "if TYPE_CHECKING:\n    import lib.room.b", "room/b": "import lib.room.a"},
    ],
)
def test_what_python_loads_in_one_order_is_no_circle(lib, texts):
    for name, text in texts.items():
        (lib / f"{name}.py").write_text(text)
    assert circles(lib) == []


def test_files_are_short_and_named_after_what_they_hold():
    assert oversized(LIB, ROOT / "tests") == []


def test_a_file_that_is_too_long_or_named_after_nothing_is_found(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 251)
    (tmp_path / "utils.py").write_text("x = 1\n" * 250)
    assert oversized(tmp_path) == [
        "long.py: 251 lines, 250 are allowed",
        f"{tmp_path.name}/utils.py: the name says nothing",
    ]


def test_models_are_in_few_rooms():
    assert crowded(LIB / "models") == []


def test_a_crowded_room_is_found(tmp_path):
    for number in range(10):
        (tmp_path / f"file_{number}.py").touch()
    (tmp_path / "__init__.py").touch()
    assert crowded(tmp_path) == [f"{tmp_path.name}: 10 rooms and files, 9 are allowed"]


def test_whoever_asks_what_changed_asks_for_every_kind_of_source():
    kinds = {path.suffix for path in (LIB / "kernels").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds == set(SOURCES)
