"""Open every chapter as Colab does: the notebook alone, in an empty folder, and a server that says where it is from.

Run it with the Python of Colab's image, or with one that stands in for it, where a plain kernel is given a module named
google.colab. It needs what both have, nbformat and nbclient; the chapters fetch and install the rest.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import nbformat
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
SETUP, CHAPTER = 60, 300  # seconds that the set-up cell and a whole chapter may take
NONE = "none"
COLOURS, LINES = re.compile(r"\x1b\[[\d;]*m"), 20  # of a traceback: what is left out, and how much is shown
CHOSEN = re.compile(r"^> (\w+)", re.MULTILINE)  # the scan's backend, as `explain_backend` marks it


class Quiet(SimpleHTTPRequestHandler):
    """A folder of files, served without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def opened_from(repository: str, branch: str, notebook: str) -> Iterator[dict[str, str]]:
    """Play the server that every machine of Colab has, for one notebook; yields the variables that name it."""
    path = f"fileId={quote(f'https://github.com/{repository}/blob/{branch}/book/{notebook}', safe='')}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "api").mkdir()
        (Path(folder) / "api/sessions").write_text(json.dumps([{"kernel": {"id": "1"}, "path": path}]))
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        Thread(target=server.serve_forever, daemon=True).start()
        yield {"COLAB_JUPYTER_IP": "127.0.0.1", "KMP_TARGET_PORT": str(server.server_port)}
        server.shutdown()


def as_colab(folder: Path) -> dict[str, str]:
    """Variables that make a plain kernel import google.colab, as Colab's own does; a stand-in where there is none."""
    startup = folder / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text("import google.colab\n")
    variables = {"IPYTHONDIR": str(folder / "ipython")}
    if find_spec("google") is None or find_spec("google.colab") is None:
        (folder / "stand_in/google/colab").mkdir(parents=True)
        (folder / "stand_in/google/colab/__init__.py").touch()
        variables["PYTHONPATH"] = str(folder / "stand_in")
    return variables


def prepared(path: Path, preset: str) -> NotebookNode:
    """A notebook, a preset's parameters in a cell after the chapter's own, and nothing recorded."""
    notebook = nbformat.read(path, as_version=4)
    if preset != NONE:
        chosen = yaml.safe_load((ROOT / "data/presets" / path.stem / f"{preset}.yml").read_text())
        lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in {**chosen, "record": False}.items())]
        place = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))
    return notebook


def seconds(cell: NotebookNode) -> float:
    """How long a cell ran, from the times that the client notes; 0 for one that did not end."""
    noted = cell.metadata.get("execution", {})
    times = [noted.get(name, "").replace("Z", "+00:00") for name in ("iopub.execute_input", "shell.execute_reply")]
    start, end = (datetime.fromisoformat(time) if time else None for time in times)
    return (end - start).total_seconds() if start and end else 0.0


def said(notebook: NotebookNode) -> str:
    """What all cells wrote on their standard output."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.get("name") == "stdout")


def run(notebook: NotebookNode, folder: Path, variables: dict[str, str]) -> tuple[float, str]:
    """Execute a notebook in a folder: seconds, and the end of the traceback where it fails."""
    os.environ.update(variables)
    start = time.monotonic()
    client = NotebookClient(notebook, timeout=CHAPTER, kernel_name="python3", resources={"metadata": {"path": folder}})
    try:
        client.execute()
    except Exception as error:  # a cell's, a kernel that died, and what the client trips over then: the next one runs
        lines = COLOURS.sub("", f"{type(error).__name__}: {error}").strip().splitlines()
        return time.monotonic() - start, "\n".join(lines[-LINES:])
    return time.monotonic() - start, ""


def complaints(setup: float, whole: float, text: str, backend: str | None) -> list[str]:
    """What is not as promised to whoever opens a chapter; `text` is what it printed."""
    found = [f"set-up takes {setup:.0f} s, {SETUP} are allowed"] * (setup > SETUP)
    found += [f"takes {whole:.0f} s, {CHAPTER} are allowed"] * (whole > CHAPTER)
    wrong = [name for name in CHOSEN.findall(text) if backend and name != backend]
    return found + [f"the scan runs by {name}, not by {backend}" for name in wrong]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("chapters", nargs="*", help="names of notebooks; all of them if left out")
    asked.add_argument("--repository", required=True, help="OWNER/NAME that the notebooks are opened from")
    asked.add_argument("--branch", default="main")
    asked.add_argument("--preset", default=NONE, help=f"of data/presets; {NONE!r}, the default: as after Run all")
    asked.add_argument("--backend", help="the scan's, where a chapter prints it")
    asked.add_argument("--content", type=Path, help="where notebooks start; a folder of their own if left out")
    asked.add_argument("--keep", type=Path, help="a folder for the notebooks as they ran")
    return asked


def main(words: list[str] | None = None) -> int:
    """Rehearse the chapters and print a table of seconds; 1 where one fails or breaks a promise."""
    asked = parser().parse_args(words)
    work = Path(tempfile.mkdtemp())
    content, every = asked.content or work / "content", sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
    content.mkdir(parents=True, exist_ok=True)
    variables, rows, failed = as_colab(work), [], False
    for name in asked.chapters or every:
        path = ROOT / "book" / f"{name}.ipynb"
        notebook = prepared(path, asked.preset)
        with opened_from(asked.repository, asked.branch, path.name) as server:
            whole, wrong = run(notebook, content, variables | server)
        setup = max(seconds(cell) for cell in notebook.cells if "setup" in cell.metadata.get("tags", []))
        found = complaints(setup, whole, said(notebook), asked.backend)
        print(f"== {name}", said(notebook), wrong, *found, sep="\n", flush=True)
        rows.append(f"| {name} | {setup:.1f} | {whole:.0f} | {'; '.join(['fails'] * bool(wrong) + found)} |")
        failed |= bool(wrong or found)
        if asked.keep:
            asked.keep.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, asked.keep / path.name)
    print("| chapter | set-up [s] | whole [s] | complaints |", "|:--|--:|--:|:--|", *rows, sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
