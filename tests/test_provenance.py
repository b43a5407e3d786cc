import subprocess

import pytest

from lib.provenance import commit, environment, slug


@pytest.mark.parametrize(
    ("hardware", "folder"),
    [
        ("AMD EPYC 2 cores", "amd-epyc-2-cores"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz 2 cores", "intel-xeon-2-cores"),
        ("Tesla T4", "tesla-t4"),
        ("NVIDIA H200", "nvidia-h200"),
    ],
)
def test_a_machines_folder_is_its_hardware(hardware, folder):
    assert slug(hardware) == folder


def test_the_environment_describes_this_machine():
    here = environment("cpu")
    assert here.machine == slug(f"{here.cpu} {here.cores} cores")
    assert here.gpu is None
    assert here.memory_bytes > 2**28


def git(folder, *words):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", folder, *words], check=True)


def test_only_what_decides_a_result_makes_a_run_dirty(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    head, dirty = commit(tmp_path)
    assert len(head) == 40
    assert not dirty
    for place in ("data/new.json", "book/_text/mrss/abstract.md", "tests/test_new.py"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("{}")
    assert not commit(tmp_path)[1]
    (tmp_path / "lib/b.py").write_text("2")
    assert commit(tmp_path)[1]


def test_a_repository_around_an_installed_package_does_not_vouch_for_it(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    assert len(commit(tmp_path)[0]) == 40
    (tmp_path / "site-packages").mkdir()
    assert commit(tmp_path / "site-packages") == (None, True)


def test_without_a_repository_nothing_vouches_for_the_code(tmp_path):
    assert commit(tmp_path) == (None, True)
