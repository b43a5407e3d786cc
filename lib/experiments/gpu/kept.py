"""What stays of the jobs in one folder: finished records, what is known of each job, and an archive of it all.

    <out>/<machine>/<record>.json, machine.json    as in data/runs, nothing else
    <out>/rest/<machine>/jobs/<job>.json           state and seconds, and of which code and settings they are
    <out>/rest/<machine>/partial/<record>.json     cases of a job that was cut off
    <out>/rest/<machine>/logs/<job>.txt            what a job printed
    <out>/<machine>.tar.gz                         all of these

Every file is written beside its place first: whoever reads finds the old one or the new one. One that is broken all the
same, after a power cut, counts as not there.
"""

import json
import math
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lib.files import whole, write_whole
from lib.files.reading import UnreadableError, read_json
from lib.files.saving import try_folder
from lib.paths import LIB, SOURCES

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: two at once are not told from one another
    flock = None


@dataclass(frozen=True)
class Kept:
    """What is known of a job.

    stamp    of the code and the settings that it is of
    state    "done", or how it ended otherwise
    seconds  that it took
    digest   of its record's content, where it is done
    raises   ValueError, naming it, for a field of another kind
    """

    stamp: str
    state: str
    seconds: float
    digest: str = ""

    def __post_init__(self) -> None:
        for name in ("stamp", "state", "digest"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} = {getattr(self, name)!r}: words are needed")
        if not isinstance(self.seconds, int | float) or not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds = {self.seconds!r}: a finite number of at least 0 is needed")

    @property
    def done(self) -> bool:
        """Whether its record is whole."""
        return self.state == DONE


DONE = "done"


@dataclass(frozen=True)
class Place:
    """Where the files of one machine are.

    out      the folder that was asked for
    machine  as `lib.provenance.Environment.machine`
    """

    out: Path
    machine: str

    @property
    def rest(self) -> Path:
        """Folder of all that is no record."""
        return self.out / "rest" / self.machine

    def record(self, job: str) -> Path:
        """Where a finished record is."""
        return self.out / self.machine / f"{job}.json"

    def partial(self, job: str) -> Path:
        """Where a record is of what a job had finished when it was cut off."""
        return self.rest / "partial" / f"{job}.json"

    def cases(self, job: str) -> Path:
        """Cases of a job that runs, one a line."""
        return self.rest / "partial" / f"{job}.cases"

    def log(self, job: str) -> Path:
        """What a job prints."""
        return self.rest / "logs" / f"{job}.txt"

    @property
    def archive(self) -> Path:
        """All of it in one file."""
        return self.out / f"{self.machine}.tar.gz"

    def known(self, job: str) -> Kept | None:
        """What is known of a job, or None; a file that cannot be read is as good as none."""
        try:
            return Kept(**read_json(self._state(job)))
        except (OSError, ValueError, TypeError):
            return None

    def broken(self, job: str) -> Path | None:
        """A file of a job that is there and cannot be read, or None: what is known of it, or its record."""
        if self._state(job).exists() and self.known(job) is None:
            return self._state(job)
        if self.record(job).exists() and not _holds_cases(self.record(job)):
            return self.record(job)
        return None

    def keep(self, job: str, kept: Kept) -> None:
        """Write down how a job ended."""
        held = asdict(kept) | {"digest": _digest(self.record(job)) if kept.done else ""}
        write_whole(self._state(job), json.dumps(held))

    def finished(self, job: str, stamp: str) -> Kept | None:
        """What is known of a job whose record is there, whole, of this code and these settings; else None."""
        kept = self.known(job)
        if not kept or not kept.done or kept.stamp != stamp:
            return None
        return kept if kept.digest and kept.digest == _digest(self.record(job)) else None

    def pack(self) -> Path:
        """Write the archive anew."""
        with whole(self.archive) as part, tarfile.open(part, "w:gz") as archive:
            for folder in (self.out / self.machine, self.rest):
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    if not path.name.startswith("."):
                        archive.add(path, path.relative_to(self.out))
        return self.archive

    def _state(self, job: str) -> Path:
        return self.rest / "jobs" / f"{job}.json"


def stamp(settings: Any, versions: Any) -> str:
    """A digest of all of lib, of a job's settings and of the packages that compute: what a finished job is of."""
    content = sha256(json.dumps([settings, versions], sort_keys=True, default=str).encode())
    for path in sorted(path for path in LIB.rglob("*") if path.suffix in (*SOURCES, ".json")):
        content.update(path.relative_to(LIB).as_posix().encode() + path.read_bytes())
    return content.hexdigest()[:24]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the folder, see that it can be written, and keep others out of it for as long as this lasts.

    raises   OSError, for a folder that cannot be made or written; BlockingIOError, where another process is at it
    """
    try_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a") as file:
        if flock is not None:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(f"--out {out}: another process is at work there; name another folder") from None
        yield


def _digest(path: Path) -> str:
    """Of a file's content; empty where it cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _holds_cases(path: Path) -> bool:
    try:
        held = read_json(path)
    except (OSError, UnreadableError):
        return False
    return isinstance(held, dict) and isinstance(held.get("cases"), list)
