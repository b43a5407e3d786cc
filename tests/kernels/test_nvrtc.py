"""Compiling at run time: the cache, its damage, other processes, and what is said where nothing can be compiled."""

import ctypes.util
import subprocess
import sys
import warnings

import pytest

from lib.kernels import nvrtc
from lib.kernels.build import BuildError
from lib.paths import ROOT

MISSING = nvrtc.unavailable()
needed = pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}: pip install nvidia-cuda-nvrtc")
SOURCE, OPTIONS = "twice.cu", ("-DFACTOR=2",)
TEXT = 'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= FACTOR; }'
BUILD = f"""
from lib.kernels import nvrtc
nvrtc.sources = lambda source: {{source: {TEXT!r}}}
print(len(nvrtc.compiled({SOURCE!r}, {OPTIONS!r}, (9, 0))))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(nvrtc, "sources", lambda source: {source: TEXT})
    return tmp_path / "selective-scan"


def compiled(capability: tuple[int, int] = (9, 0), options: tuple[str, ...] = OPTIONS) -> bytes:
    return nvrtc.compiled(SOURCE, options, capability)


@needed
def test_a_second_use_compiles_nothing(cache, monkeypatch):
    image = compiled()
    monkeypatch.setattr(nvrtc, "build", None)
    assert compiled() == image
    assert image[:4] == b"\x7fELF"


@needed
@pytest.mark.parametrize("damage", [b"", b"not a module", b"\0" * 4000])
def test_a_damaged_module_is_made_again(cache, damage):
    image = compiled()
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage or whole[:-1])
    assert compiled() == image
    assert path.read_bytes() == whole


@needed
def test_a_module_that_others_can_have_put_there_is_made_again(cache):
    image = compiled()
    (path,) = cache.iterdir()
    nvrtc.cache.keep(path, b"planted")
    path.chmod(0o666)
    assert compiled() == image


@needed
def test_other_options_and_other_devices_have_other_places(cache):
    compiled(), compiled((7, 5)), compiled(options=("-DFACTOR=3",))
    assert len(list(cache.iterdir())) == 3


@needed
@pytest.mark.slow
def test_processes_that_compile_at_once_each_find_a_whole_module(cache):
    many = [
        subprocess.Popen([sys.executable, "-c", BUILD], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {process.communicate()[0] for process in many}
    assert len(said) == 1
    assert [path.suffix for path in cache.iterdir()] == [".cubin"]


@needed
@pytest.mark.parametrize("step", ["keep", "cache_folder"])
def test_a_folder_that_cannot_be_written_is_said_and_costs_only_time(cache, monkeypatch, step):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(cache))

    monkeypatch.setattr(nvrtc.cache, step, refuse)
    with pytest.warns(UserWarning, match=r"compiled kernels are not kept, each process compiles them anew: .*denied"):
        assert compiled()[:4] == b"\x7fELF"


@needed
def test_an_error_in_the_source_is_one_line_with_its_place(cache):
    with pytest.raises(
        BuildError, match=r"^NVRTC could not compile twice\.cu: twice\.cu\(1\): error: .*FACTOR"
    ) as told:
        compiled(options=())
    assert "\n" not in str(told.value)


@needed
def test_a_gpu_newer_than_nvrtc_gets_portable_code(cache, monkeypatch):
    assert nvrtc.architecture((9, 0)) == "sm_90"
    newest = nvrtc.supported()[-1]
    assert nvrtc.architecture((99, 0)) == f"compute_{newest}"
    assert compiled((99, 0)).lstrip().startswith(b"//")  # PTX is text


@needed
def test_a_gpu_older_than_is_served_is_refused():
    with pytest.raises(
        BuildError, match=r"compute capability 7\.0: 7\.5 or newer is needed, of those that NVRTC knows, \["
    ):
        nvrtc.architecture((7, 0))


def test_without_nvrtc_one_line_says_so(monkeypatch):
    monkeypatch.setattr(nvrtc, "_candidates", lambda: ["libnothing.so.1"])
    nvrtc.library.cache_clear()
    try:
        assert nvrtc.unavailable() == (
            "NVRTC, the CUDA compiler in a library, is not found: neither with torch nor in CUDA_HOME"
        )
    finally:
        nvrtc.library.cache_clear()


def test_a_library_that_is_not_nvrtc_is_passed_over(monkeypatch):
    monkeypatch.setattr(nvrtc, "_candidates", lambda: [ctypes.util.find_library("m") or "libm.so.6"])
    nvrtc.library.cache_clear()
    try:
        with warnings.catch_warnings():
            assert "is not found" in nvrtc.unavailable()
    finally:
        nvrtc.library.cache_clear()


def test_torchs_own_major_version_is_tried_first(tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(nvrtc.torch, "__file__", str(tmp_path / "torch/__init__.py"))
    monkeypatch.setattr(nvrtc.torch.version, "cuda", "12.9")
    for name in (
        "cu13/lib/libnvrtc.so.13",
        "cuda_nvrtc/lib/libnvrtc.so.12",
        "cuda_nvrtc/lib/libnvrtc-builtins.so.12.9",
    ):
        path = tmp_path / "nvidia" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = nvrtc._candidates()
    assert names[0].endswith("cuda_nvrtc/lib/libnvrtc.so.12")
    assert not any("builtins" in name for name in names)


def test_without_a_cuda_build_of_torch_the_newest_is_tried_first(tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(nvrtc.torch, "__file__", str(tmp_path / "torch/__init__.py"))
    monkeypatch.setattr(nvrtc.torch.version, "cuda", None)
    for name in ("cuda_nvrtc/lib/libnvrtc.so.12", "cu13/lib/libnvrtc.so.13"):
        path = tmp_path / "nvidia" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert nvrtc._candidates()[0].endswith("libnvrtc.so.13")
