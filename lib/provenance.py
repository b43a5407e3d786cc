"""Provenance: on which machine, with which versions and settings, at which commit a run was measured."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch
from pydantic import BaseModel, ConfigDict, PositiveInt

from lib.paths import ROOT
from lib.profilers import allocator

PACKAGES = ("torch", "transformers", "numpy")
# What decides a result: a change there makes a run dirty. A notebook only passes settings, which the record holds.
MEASURED = ("lib", "pyproject.toml")


class Environment(BaseModel):
    """Hardware, versions and settings of one run. Sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    cpu: str
    cores: PositiveInt
    memory_bytes: PositiveInt
    gpu: str | None
    driver: str | None
    cuda: str | None
    system: str
    python: str
    packages: dict[str, str]
    threads: PositiveInt
    allocator: str
    matmul_precision: str
    tf32_matmul: bool
    tf32_convolution: bool


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
    )


def commit(root: Path = ROOT) -> tuple[str | None, bool]:
    """The checked-out commit, and whether what decides a result differs from it.

    returns  (None, True) where git or the repository is missing: nothing vouches for the code then; a repository
             around the folder that an installed package is in does not
    """
    try:
        if Path(_run("git", "-C", str(root), "rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None, True
        head = _run("git", "-C", str(root), "rev-parse", "HEAD")
        changed = _run("git", "-C", str(root), "status", "--porcelain", "--", *MEASURED)
    except (OSError, subprocess.CalledProcessError):
        return None, True
    return head, bool(changed)


def slug(name: str) -> str:
    """A name as a folder: lower case, hyphens; marketing signs and clock rates left out."""
    name = re.sub(r"\((r|tm)\)|@.*ghz|\b(cpu|processor)\b", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)):
        return found[1].strip()
    if platform.system() == "Darwin":
        return _run("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or platform.machine()


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
