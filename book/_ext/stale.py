"""Stale results cannot be published: chapters are cached under a digest.

Jupyter Book's own cache knows a notebook's cells only. A change in the library
or in a record would leave the old outputs standing. Here each digest of `lib/`,
`data/` and the texts has a cache folder of its own, and a new digest sends
every notebook through the build again. A new look sends every page.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

RESULTS = ("lib", "data", "book/_text")  # what outputs depend on
LOOKS = ("book/_ext", "book/_assets", "_config.yml", "_toc.yml")
IGNORED = ("__pycache__", ".ipynb_checkpoints")


def digest(root: Path, sources: Sequence[str] = RESULTS) -> str:
    """16 hex digits over the names and contents of files and folders."""
    found = hashlib.sha256()
    for path in sorted(path for one in sources for path in files(root / one)):
        name, size = path.relative_to(root).as_posix(), path.stat().st_size
        found.update(f"{name}\0{size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def files(place: Path) -> list[Path]:
    """A file itself, or all files in a folder."""
    paths = [place, *place.rglob("*")]
    return [
        one
        for one in paths
        if one.is_file() and not set(one.parts) & set(IGNORED)
    ]


def choose_cache(app, config) -> None:
    """Point the execution cache at this digest's folder; delete the others."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    current = caches / digest(Path(app.srcdir))
    for older in caches.glob("*"):
        if older != current:
            shutil.rmtree(older) if older.is_dir() else older.unlink()
    config.nb_execution_cache_path = str(current)


def pages_of_another_digest(app, env, added, changed, removed) -> list[str]:
    """Pages to build again: all for a new look, notebooks for new results.

    Builders share what was read, but each writes pages of its own: what the
    PDF has seen must not count as seen by the web page.
    """
    root, builder = Path(app.srcdir), app.builder.name
    now = digest(root, LOOKS), digest(root, RESULTS)
    seen = getattr(env, "sources_digests", {})
    before = seen.get(builder, ("", ""))
    env.sources_digests = {**seen, builder: now}
    if now[0] != before[0]:
        return list(env.found_docs)
    if now[1] != before[1]:
        return [one for one in env.found_docs if is_notebook(env, one)]
    return []


def is_notebook(env, page: str) -> bool:
    return str(env.doc2path(page)).endswith(".ipynb")


def setup(app) -> dict:
    app.connect("config-inited", choose_cache, priority=1)
    app.connect("env-get-outdated", pages_of_another_digest)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
