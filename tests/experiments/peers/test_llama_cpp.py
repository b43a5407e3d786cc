"""llama.cpp's scan, where it is compiled, computes the definition; what keeps it from being compiled is one line."""

import ctypes

import pytest
import torch

from lib.experiments import peers
from lib.experiments.peers import ggml
from lib.experiments.ssm_scan_jobs import SMALL, inputs

CPU = torch.device("cpu")
compiled = pytest.mark.skipif(not ggml.folder().exists(), reason="make bench compiles llama.cpp's scan")


@compiled
@pytest.mark.parametrize("sizes", [SMALL, (1, 1, 1, 1), (3, 17, 5, 7)])
@pytest.mark.parametrize("threads", [1, 2])
def test_its_graph_is_the_whole_scan(sizes, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peer = peers.load("llama.cpp", CPU, wait=False)
        assert (peer.gradients, peer.counted) == (False, False)
        peers.verify(peer, inputs(sizes, 0, "cpu"))
    finally:
        torch.set_num_threads(before)


@compiled
def test_every_call_computes_anew_in_the_same_memory():
    peer, tensors = peers.load("llama.cpp", CPU, wait=False), inputs(SMALL, 0, "cpu")
    call, leaves = peer.bind(tensors)
    first = call()
    kept = first.clone()
    ctypes.memset(first.data_ptr(), 0, first.numel() * 4)
    for _ in range(2000):  # each call takes a few bytes of its context
        again = call()
    assert again.data_ptr() == first.data_ptr()
    assert torch.equal(again, kept)
    assert leaves == []


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A cache in which nothing is compiled."""
    monkeypatch.setattr(ggml.cache, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_it_is_not_compiled_where_nobody_waits(nowhere):
    with pytest.raises(peers.Absent, match="fetched and compiled for a minute"):
        peers.load("llama.cpp", CPU, wait=False)


def test_a_package_that_cannot_be_fetched_is_told_in_one_line(nowhere, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match=f"^pip download: .*{ggml.PACKAGE}=={ggml.VERSION}") as caught:
        peers.load("llama.cpp", CPU, wait=True)
    assert "\n" not in str(caught.value)
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize("how", ["open to all", "a link", "missing"])
def test_a_library_that_others_can_have_put_there_is_not_loaded(nowhere, tmp_path, how):
    place = ggml.folder()
    place.mkdir(mode=0o700)
    for name in ("base", "cpu"):
        path = place / f"libggml-{name}{ggml.SUFFIX}"
        if how == "open to all":
            path.touch()
            path.chmod(0o666)
        elif how == "a link":
            (tmp_path / "planted").touch()
            path.symlink_to(tmp_path / "planted")
    with pytest.raises(OSError, match=r"libggml-base.*: not loaded, others may have put it there; delete "):
        ggml.libraries()


def test_a_tool_that_is_missing_is_named():
    with pytest.raises(RuntimeError, match="no-such-cmake is not installed"):
        ggml._run("no-such-cmake", "--build", "made")


def test_a_step_that_fails_says_its_last_line():
    with pytest.raises(RuntimeError, match=r"^sh -c: so it goes$"):
        ggml._run("sh", "-c", "echo first >&2; echo so it goes >&2; exit 3")


def test_the_place_depends_on_version_options_and_cpu(monkeypatch):
    first = ggml.folder()
    assert ggml.VERSION in first.name
    monkeypatch.setattr(ggml.build, "cpu", lambda: "another")
    assert ggml.folder() != first
