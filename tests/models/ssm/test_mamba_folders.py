"""A folder holds one model, whole: what is there after a crash, beside older files, and what is not read."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from mambas import theirs, tokens
from refusals import refused

from lib.models.ssm.mamba import MambaConfig, MambaLM
from lib.models.ssm.mamba_weights import from_pretrained, save_pretrained

WATCHED = ("open", "os.", "shutil.", "ctypes.dlsym")  # what Python tells of before it touches files


def tiny(seed: int, layers: int = 1) -> MambaLM:
    config = MambaConfig(4, layers, states=2, vocabulary=50, norm_eps=10.0**-seed)
    return MambaLM(config, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def logits():
    x = tokens(4)
    with torch.no_grad():
        return {seed: tiny(seed)(x) for seed in (1, 2)}


def held(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return from_pretrained(folder)(tokens(4))


class Killed(BaseException):
    """What no code expects: nothing that is done to files after it succeeds, as after the end of a process."""


ARMED: list[list] = []  # moments left, and the kind of what happens then


def watch(event: str, _) -> None:
    if ARMED and event.startswith(WATCHED):
        ARMED[0][0] -= 1
        left, kind = ARMED[0]
        if left == 0 and kind == "full":
            raise OSError(28, "No space left on device")
        if left <= 0 and kind == "kill":
            raise Killed


@pytest.fixture(scope="module", autouse=True)
def watched() -> None:
    sys.addaudithook(watch)  # there is no way to take it off again: it looks at ARMED


def interrupted(folder: Path, moment: int, kind: str) -> bool:
    """Save model 2, but end, or have a full disk, at a moment; whether the moment came."""
    ARMED.append([moment, kind])
    try:
        save_pretrained(tiny(2), folder)
    except (Killed, OSError):
        return True
    finally:
        ((left, _),) = ARMED
        ARMED.clear()
    return left <= 0


@pytest.mark.parametrize(
    ("kind", "inside"),
    [("kill", False), ("full", False), ("kill", True)],
)
def test_after_a_crash_at_any_moment_there_is_the_old_model_or_the_new_one(kind, inside, tmp_path, logits, monkeypatch):
    seen, moment = set(), 0
    save_pretrained(tiny(1), tmp_path / "old")
    (tmp_path / "old" / "tokenizer.json").write_text("{}")
    while True:
        moment += 1
        folder = shutil.copytree(tmp_path / "old", tmp_path / str(moment))
        monkeypatch.chdir(folder if inside else tmp_path)
        more = interrupted(folder, moment, kind)
        found = held(folder)
        seen.add(next(seed for seed, wanted in logits.items() if torch.equal(found, wanted)))
        assert (folder / "tokenizer.json").read_text() == "{}"
        if not more:
            break
    assert moment > 10
    assert seen == {1, 2}


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path, logits):
    moment = 0
    while True:
        moment += 1
        folder = tmp_path / str(moment)
        more = interrupted(folder, moment, "kill")
        assert not folder.exists() or torch.equal(held(folder), logits[2])
        if not more:
            break
    assert folder.exists()


def test_a_model_replaces_older_shards_and_leaves_what_is_others(tmp_path, logits):
    theirs(hidden_size=16).save_pretrained(tmp_path, max_shard_size="10kB")
    assert len(list(tmp_path.glob("model-*"))) > 1
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("mine")
    (tmp_path / "model.fp16.safetensors").write_text("another variant")
    (tmp_path / "link").symlink_to("notes")
    (tmp_path / "notes").chmod(0o750)
    save_pretrained(tiny(1), tmp_path)
    assert torch.equal(held(tmp_path), logits[1])
    kept = ["generation_config.json", "link", "model.fp16.safetensors", "notes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["config.json", "model.safetensors", *kept])
    assert (tmp_path / "link" / "read.me").read_text() == "mine"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "notes").stat().st_mode & 0o777 == 0o750


def test_a_folder_that_somebody_works_in_stays_the_one_that_it_is(tmp_path, logits, monkeypatch):
    theirs(hidden_size=16).save_pretrained(tmp_path / "model", max_shard_size="10kB")
    (tmp_path / "model" / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "model" / "runs")
    before = (tmp_path / "model").stat().st_ino
    save_pretrained(tiny(1), "..")
    assert (tmp_path / "model").stat().st_ino == before
    assert Path.cwd() == tmp_path / "model" / "runs"
    assert torch.equal(held(Path("..")), logits[1])
    kept = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert kept == ["config.json", "generation_config.json", "model.safetensors", "runs"]


def test_a_link_to_a_folder_stays_a_link(tmp_path, logits):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    save_pretrained(tiny(1), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert torch.equal(held(tmp_path / "real"), logits[1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 8}, "hidden_size = 8: 4 is needed, it is the model's"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False: True is needed, it is the model's"),
        ({"eos_token": 3}, "eos_token = 3: one of "),
        ({"dtype": "float16"}, "dtype = 'float16': one of "),
    ],
)
def test_a_field_that_the_model_decides_is_refused_and_nothing_changes(fields, message, tmp_path, logits):
    save_pretrained(tiny(1), tmp_path)
    with refused(message):
        save_pretrained(tiny(2), tmp_path, **fields)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_pretrained(tiny(2), tmp_path, eos_token_id={3})
    with refused("model is of type Linear: a MambaLM is needed", TypeError):
        save_pretrained(torch.nn.Linear(1, 1), tmp_path)
    assert torch.equal(held(tmp_path), logits[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="a file, not a folder"):
        save_pretrained(tiny(1), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
