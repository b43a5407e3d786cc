"""The working tree, uncommitted changes included, as a repository of its own; and a shell that must succeed."""

import shutil
import subprocess
from pathlib import Path

from lib.paths import ROOT


def shell(*command: object, **options: object) -> str:
    """What a command prints; an AssertionError with the end of it where the command fails."""
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


def copied(place: Path) -> Path:
    """Copy all files that git tracks or would track, links as links, and commit them on a branch named main."""
    for name in shell("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
        source, target = ROOT / name, place / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)
    shell("git", "init", "-q", "-b", "main", cwd=place)
    shell("git", "add", "-A", cwd=place)
    shell("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all", cwd=place)
    return place
