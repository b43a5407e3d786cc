"""Fetch what the pages need from npm, so that they need no network later.

MathJax, require.js and the widget manager, at the versions and checksums of
`vendor.json`, unpacked into `book/_assets/vendor`. Without npm the pages load
the same things from a CDN. Run as `make vendor`.
"""

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE / "vendor.json"
TARGET = HERE.parent / "_assets" / "vendor"


class VendorError(RuntimeError):
    """A package could not be had, or is not the one that was pinned."""


def complete(target: Path = TARGET, pins: Path = PINS) -> bool:
    """Whether the target holds exactly what the pins name."""
    stamp = target / "vendor.json"
    return stamp.is_file() and stamp.read_bytes() == pins.read_bytes()


def fetch(target: Path = TARGET, pins: Path = PINS) -> None:
    """Fetch, verify and unpack every package; all of it or nothing.

    raises  VendorError: npm is missing, a download failed, a checksum differs
    """
    if shutil.which("npm") is None:
        raise VendorError("npm is not installed (it comes with Node.js)")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = Path(folder) / "vendor"
        for name, pin in json.loads(pins.read_text()).items():
            archive = pack(f"{name}@{pin['version']}", Path(folder))
            found = integrity(archive)
            if found != pin["integrity"]:
                wanted = pin["integrity"]
                raise VendorError(f"{name}: {found}, pinned is {wanted}")
            unpack(archive, fresh / name, pin["files"])
        shutil.copy(pins, fresh / "vendor.json")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


def pack(package: str, folder: Path) -> Path:
    """The package as npm delivers it: a gzipped tar archive."""
    command = ["npm", "pack", package, "--silent", "--pack-destination", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VendorError(f"npm pack {package}: {reason}")
    return folder / done.stdout.strip().splitlines()[-1]


def integrity(archive: Path) -> str:
    """Subresource integrity of a file, as package locks write it."""
    found = hashlib.sha512(archive.read_bytes()).digest()
    return f"sha512-{base64.b64encode(found).decode()}"


def unpack(archive: Path, folder: Path, patterns: list[str]) -> None:
    """Write the members that match a pattern; npm keeps all in `package/`."""
    with tarfile.open(archive) as members:
        for member in members:
            path = member.name.removeprefix("package/")
            if member.isfile() and any(fnmatch(path, one) for one in patterns):
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(members.extractfile(member).read())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--if-possible",
        action="store_true",
        help="where it fails, say so in a line and go on",
    )
    asked = parser.parse_args()
    if complete():
        return 0
    try:
        fetch()
    except VendorError as error:
        print(f"vendor: {error}; the pages will use a CDN for math and widgets")
        return 0 if asked.if_possible else 1
    print(f"vendor: {TARGET.relative_to(HERE.parent.parent)} is complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
