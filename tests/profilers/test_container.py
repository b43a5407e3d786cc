"""Trees of files as the kernel shows them, for groups of both versions; the numbers are worked out by hand."""

import resource

import psutil
import pytest

from lib.profilers import container, memory

GIB = 2**30


def group(place, most, used, dropped, legacy=False):
    """Write what the kernel says of one group."""
    place.mkdir(parents=True, exist_ok=True)
    limit, use, line = container.LEGACY if legacy else container.UNIFIED
    (place / limit).write_text(f"{most}\n")
    (place / use).write_text(f"{used}\n")
    (place / "memory.stat").write_text(f"anon 5\n{line} {dropped}\nactive_file 7\n")


def own(tmp_path, text):
    file = tmp_path / "cgroup"
    file.write_text(text)
    return file


@pytest.fixture(autouse=True)
def no_limit_of_the_process(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_container_of_the_second_version_leaves_its_limit_less_what_is_used_and_cannot_be_dropped(tmp_path):
    group(tmp_path / "fs", 4 * GIB, 3 * GIB, GIB // 2)
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, "0::/\n")) == GIB + GIB // 2


def test_the_narrowest_group_above_decides(tmp_path):
    group(tmp_path / "fs/job", 2 * GIB, GIB, 0)
    group(tmp_path / "fs/job/step", 8 * GIB, GIB, 0)
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, "0::/job/step\n")) == GIB


def test_a_group_of_the_first_version_counts_where_the_other_has_no_memory(tmp_path):
    group(tmp_path / "fs/memory/docker/abc", 3 * GIB, GIB, 5, legacy=True)
    text = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, text)) == 2 * GIB + 5


def test_a_container_that_is_told_the_hosts_name_of_its_group_finds_its_limit_at_the_root(tmp_path):
    group(tmp_path / "fs/memory", 3 * GIB, GIB, 0, legacy=True)
    text = "4:memory:/system.slice/docker-abc.scope\n"
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, text)) == 2 * GIB


def test_a_group_outside_of_the_containers_view_is_no_path_out_of_the_tree(tmp_path):
    group(tmp_path / "fs", 3 * GIB, GIB, 0)
    group(tmp_path, GIB, 0, 0)
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, "0::/../../other\n")) == 2 * GIB


@pytest.mark.parametrize("text", ["", "0::/\n", "nonsense\n", "1:name=systemd:/\n"])
def test_no_limit_is_none(tmp_path, text):
    group(tmp_path / "fs", "max", 3 * GIB, 0)
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, text)) is None
    assert container.free_bytes(tmp_path / "nowhere", tmp_path / "no file") is None


def test_a_group_that_is_over_its_limit_leaves_nothing(tmp_path):
    group(tmp_path / "fs", GIB, 2 * GIB, 0)
    assert container.free_bytes(tmp_path / "fs", own(tmp_path, "0::/\n")) == 0


def test_a_limit_of_the_process_counts(tmp_path, monkeypatch):
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + GIB, resource.RLIM_INFINITY))
    assert container.free_bytes(tmp_path, tmp_path) == pytest.approx(GIB, abs=GIB // 4)


@pytest.mark.parametrize("limited", [None, 10, 2**62])
def test_a_limit_bounds_what_is_free_on_a_cpu(monkeypatch, limited):
    monkeypatch.setattr(container, "free_bytes", lambda: limited)
    found, there = memory.available_bytes("cpu"), psutil.virtual_memory().total
    assert found == 10 if limited == 10 else 2**20 < found <= there
