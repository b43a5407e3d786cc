"""One row of `lib.names` and one file are a form, a distillation, a backend; what lacks its file fails by name."""

from dataclasses import replace

import pytest
import torch
from dummies import dummy
from refusals import refused
from torch.testing import assert_close

from lib import names
from lib.kernels import scan as kernels
from lib.models import distill as distillations
from lib.models import mrss as forms
from lib.models.distill.replace import METHODS, distill
from lib.models.mrss import variants
from lib.models.mrss.config import FORMS, STEMS, MrssConfig
from lib.models.ssm.mamba import MambaConfig
from lib.models.ssm.s4d import S4D
from lib.models.ssm.scan import KERNELS, backends, explain_backend, selective_scan_fn
from lib.models.tables import Functions, Modules

SMALL = MambaConfig(dim=24, layers=2, states=8)
FORM = """
from lib.models.mrss.low_rate import LowRate

SEVERAL = True

def mixers(config, *, generator=None):
    for _ in range(config.mamba.layers):
        yield LowRate(config.mamba, max(config.factors), 1, generator=generator)

def check(config):
    if config.mamba.layers > 3:
        raise ValueError(f"layers = {config.mamba.layers}: too many for a dummy")
"""
METHOD = """
import torch
from lib.models.distill.by_taps import SparseConvolution
from lib.models.distill.distilled import distilled, taken

def dummy(source, order, *, length=1024):
    kernel, skip = taken(source, length)
    lags = torch.arange(order)
    module = SparseConvolution(lags, kernel.T[lags].to(skip), skip)
    return distilled("dummy", order, torch.full((len(skip),), order), module, kernel)
"""
BACKEND = """
from lib.kernels.scan.torch import backward, forward, saved_shape

def unavailable(device, dtype):
    return None if device.type == "cpu" else "a dummy runs on a CPU"

def about():
    return "torch once more"
"""
ALL = [
    ("FORMS", forms, FORM, FORMS),
    ("DISTILLATIONS", distillations, METHOD, METHODS),
    ("BACKENDS", kernels, BACKEND, KERNELS),
]


def test_a_form_is_one_file_and_one_row(tmp_path, generator):
    with dummy("FORMS", forms, tmp_path, FORM):
        config = variants.family(SMALL, 4)["dummy, r = 4"]
        assert abs(variants.parameters(config) / variants.parameters(MrssConfig(SMALL)) - 1) <= variants.NEAR
        model = variants.model(config, 3, 5, generator=generator)
        assert [type(layer["mixer"]).__name__ for layer in model.backbone.layers] == ["LowRate"] * 2
        assert model(torch.zeros(2, 9, 3)).shape == (2, 5)
        assert MrssConfig(SMALL, "dummy", (2, 4)).factors == (2, 4)
        assert MrssConfig(replace(SMALL, layers=4), "dummy", 1).one_rate
        with refused("layers = 4: too many for a dummy"):
            MrssConfig(replace(SMALL, layers=4), "dummy", 2)
        with refused(f"variant = 'dunny': one of {', '.join(variants.variants())} is needed"):
            MrssConfig(SMALL, "dunny", 2)
    with refused("variant = 'dummy': one of single, "):
        MrssConfig(SMALL, "dummy", 2)


def test_a_distillation_is_one_file_and_one_row(tmp_path, generator):
    layer, x = S4D(4, 6, generator=generator).double(), torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    with dummy("DISTILLATIONS", distillations, tmp_path, METHOD):
        student, (found,) = distill(layer, 9, "dummy", length=9)
        assert (found.method, found.parameters) == ("dummy", 9 + 9 * 4)
        assert_close(student(x), layer(x))
        with refused(f"method = 'dunny': one of {', '.join(names.DISTILLATIONS)} is needed"):
            distill(layer, 9, "dunny")
    with refused("method = 'dummy': one of modal"):
        distill(layer, 9, "dummy")


def test_a_backend_is_one_file_and_one_row(tmp_path, generator):
    u, delta, A = torch.randn(2, 4, 9, generator=generator), torch.rand(2, 4, 9, generator=generator), -torch.ones(4, 3)
    rows = torch.randn(2, 3, 9, generator=generator)
    expected = selective_scan_fn(u, delta, A, rows, rows, backend="torch")
    with dummy("BACKENDS", kernels, tmp_path, BACKEND):
        assert backends() == ("auto", "cpp", "cuda", "torch", "dummy", "ref")
        assert torch.equal(selective_scan_fn(u, delta, A, rows, rows, backend="dummy"), expected)
        assert replace(SMALL, backend="dummy").backend == "dummy"
        assert explain_backend().reasons["dummy"] == "torch once more"
        assert explain_backend("cpu", backend="dummy").reasons == {"dummy": "asked for by name; torch once more"}
        with pytest.raises(RuntimeError, match=r"'dummy' cannot serve torch\.float32 on meta: a dummy runs on a CPU"):
            explain_backend("meta", backend="dummy")
    with refused("backend = 'dummy': one of auto, cpp, cuda, torch, ref is needed"):
        replace(SMALL, backend="dummy")


@pytest.mark.parametrize(("kind", "room", "text", "table"), ALL)
def test_a_row_without_its_file_fails_by_name_and_leaves_the_others_alone(kind, room, text, table, tmp_path):
    first = next(iter(table))
    with dummy(kind, room, tmp_path, None):
        file = f"{room.__name__}.dummy".replace(".", "/") + ".py"
        with refused(f"names.{kind}: 'dummy' has no code: write {file}", ImportError):
            table["dummy"]
        assert table[first]
    assert "dummy" not in table


@pytest.mark.parametrize(("kind", "room", "text", "table"), ALL)
def test_a_file_that_lacks_what_a_table_needs_fails_by_name(kind, room, text, table, tmp_path):
    needs = table.needs or ("dummy",)
    for needed in needs:
        message = f"names.{kind}: 'dummy' is incomplete: {room.__name__}.dummy has no {needed}"
        with dummy(kind, room, tmp_path, f"{text}\ndel {needed}\n"), refused(message, ImportError):
            table["dummy"]


def test_an_error_inside_a_file_is_its_own(tmp_path):
    missing = pytest.raises(ModuleNotFoundError, match="nothing_of_that_name")
    with dummy("FORMS", forms, tmp_path, "import lib.nothing_of_that_name"), missing:
        FORMS["dummy"]


@pytest.mark.parametrize("kind", [Modules, Functions])
def test_a_table_is_a_mapping_in_the_order_of_its_rows(kind):
    table = kind("DISTILLATIONS")
    assert list(table) == list(names.DISTILLATIONS)
    assert len(table) == len(names.DISTILLATIONS)
    assert "modal" in table
    assert "dummy" not in table
    with pytest.raises(KeyError):
        table["dummy"]
    assert table.get("dummy") is None


@pytest.mark.parametrize("table", [FORMS, STEMS, METHODS, KERNELS])
def test_every_row_of_today_has_its_code(table):
    assert all(table.values())
