import pytest
from layers import ALLOWED, complaints, imported

from lib.paths import LIB


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
