"""Provenance: on which machine, with which versions and settings, at which commit a run was measured."""

import os
import platform
import re
import subprocess
from collections.abc import Callable
from hashlib import sha1
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import psutil
import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StringConstraints,
    model_serializer,
)

from lib.paths import MEASURED, ROOT
from lib.profilers import allocator

PACKAGES = ("torch", "transformers", "numpy")
Words = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\r\n]+\z")]
Count = Annotated[int, Strict(), Field(ge=1, lt=2**63)]


class Environment(BaseModel):
    """Hardware, versions and settings of one run. Sizes in bytes.

    processor   what a brand name leaves open: vendor, family and model, and the widest instructions that torch uses
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\z", max_length=200)]
    cpu: Words
    cores: Count
    memory_bytes: Count
    gpu: Words | None
    driver: Words | None
    cuda: Words | None
    system: Words
    python: Words
    packages: Annotated[dict[Words, Words], Field(min_length=1)]
    threads: Count
    allocator: Words
    matmul_precision: Words
    tf32_matmul: StrictBool
    tf32_convolution: StrictBool
    processor: Words | None = None

    @model_serializer(mode="wrap")
    def _noted(self, plain: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """Its fields; the processor's only where it is known, which it was not when the first records were made."""
        return {name: value for name, value in plain(self).items() if name != "processor" or value is not None}


def environment(device: str | torch.device = "cpu") -> Environment:
    """Describe the machine that a run on `device` uses.

    returns  `machine` names the folder under data/runs: the GPU where one computes, else the CPU and its cores
    """
    device = torch.device(device)
    cpu, cores = _cpu(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return Environment(
        machine=slug(gpu or f"{cpu} {cores} cores"),
        cpu=cpu,
        cores=cores,
        memory_bytes=psutil.virtual_memory().total,
        gpu=gpu,
        driver=_driver() if gpu else None,
        cuda=torch.version.cuda if gpu else None,
        system=platform.platform(),
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        threads=torch.get_num_threads(),
        allocator=allocator.describe(),
        matmul_precision=torch.get_float32_matmul_precision(),
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
        tf32_convolution=torch.backends.cudnn.allow_tf32,
        processor=_processor(),
    )


def commit(root: Path = ROOT) -> tuple[str | None, bool]:
    """The checked-out commit, and whether what decides a result differs from it.

    Every file of MEASURED is compared with the commit by its content: what git was told to overlook, or overlooks by
    itself, counts.
    returns  (None, True) where git or the repository is missing, or git refuses: nothing vouches for the code then; a
             repository around the folder that a copy or an installed package is in does not
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel").decode().removesuffix("\n")
        if not Path(top).samefile(root):
            return None, True
        head = _git(root, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", head, "--", *MEASURED)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None, True
    if not re.fullmatch(r"[0-9a-f]{40}", head):  # a repository by another digest
        return None, True
    known = {}
    for entry in listed.split(b"\0")[:-1]:
        about, _, name = entry.partition(b"\t")
        known[os.fsdecode(name)] = about.split()[2].decode()
    if (root / "lib").exists() and not any(name.startswith("lib/") for name in known):  # others' repository
        return None, True
    return head, _differs(root, known)


def slug(name: str) -> str:
    """A name as a folder: lower case, hyphens; marketing signs and clock rates left out."""
    name = re.sub(r"\((r|tm)\)|@.*ghz|\b(cpu|processor)\b", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def _differs(root: Path, known: dict[str, str]) -> bool:
    """Whether the files of MEASURED are not those that are known, name -> git's digest of the content."""
    found = set()
    for place in MEASURED:
        for path in [root / place, *_below(root / place)]:
            if not path.is_symlink() and not path.is_file():
                continue
            name = path.relative_to(root).as_posix()
            found.add(name)
            try:
                held = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            except OSError:
                return True
            # A checkout on Windows may end its lines otherwise, and write a link as a file.
            if known.get(name) not in (_digest(held), _digest(held.replace(b"\r\n", b"\n"))):
                return True
    return found != set(known)


def _below(folder: Path) -> list[Path]:
    """Files and links in a folder and those below; neither hidden ones, which no import finds, nor compiled ones."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        found += [Path(place) / name for name in [*files, *links] if not name.startswith(".")]
    return found


def _digest(content: bytes) -> str:
    """Git's name for a file of this content."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _git(root: Path, *words: str) -> bytes:
    """What git says of the repository that a folder is in, whatever the caller's shell has set."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_")
    }
    settings |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, env=settings).stdout


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)):
        return found[1].strip()
    if platform.system() == "Darwin":
        return _run("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or platform.machine()


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Generation of the CPU: a virtual machine's brand name, such as "AMD EPYC", may stand for several."""
    held = cpuinfo.read_text() if cpuinfo.exists() else ""
    fields = dict(re.findall(r"^(vendor_id|cpu family|model)\s*:\s*(\S+)$", held, re.MULTILINE))
    known = ("vendor_id", ""), ("cpu family", "family "), ("model", "model ")
    said = [before + fields[field] for field, before in known if field in fields]
    return ", ".join([*(said or [platform.machine()]), torch.backends.cpu.get_cpu_capability()])


def _driver() -> str | None:
    try:
        return _run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
