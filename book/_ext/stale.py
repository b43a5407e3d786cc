"""Stale results cannot be published: chapters are cached under a digest.

Jupyter Book's own cache knows a notebook's cells only. A change in the library
or in a record would leave the old outputs standing. Here each digest of `lib/`
and `data/` has a cache folder of its own, and a new digest sends every notebook
through the build again.
"""

import hashlib
import shutil
from pathlib import Path

SOURCES = ("lib", "data")
IGNORED = ("__pycache__", ".ipynb_checkpoints")


def digest(root: Path) -> str:
    """16 hex digits over what the outputs of chapters depend on."""
    found = hashlib.sha256()
    for path in sorted(
        path for source in SOURCES for path in (root / source).rglob("*")
    ):
        if path.is_file() and not set(path.parts) & set(IGNORED):
            found.update(
                f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode()
            )
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def choose_cache(app, config) -> None:
    """Point the execution cache at this digest's folder; delete the others."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    current = caches / digest(Path(app.srcdir))
    for older in caches.glob("*"):
        if older != current:
            shutil.rmtree(older) if older.is_dir() else older.unlink()
    config.nb_execution_cache_path = str(current)


def notebooks_of_another_digest(app, env, added, changed, removed) -> list[str]:
    """Every notebook page, when this builder last saw another digest.

    Builders share what was read, but each writes pages of its own: what the
    PDF has seen must not count as seen by the web page.
    """
    now = digest(Path(app.srcdir))
    seen = getattr(env, "sources_digests", {})
    if seen.get(app.builder.name) == now:
        return []
    env.sources_digests = {**seen, app.builder.name: now}
    return [
        name
        for name in env.found_docs
        if str(env.doc2path(name)).endswith(".ipynb")
    ]


def setup(app) -> dict:
    app.connect("config-inited", choose_cache, priority=1)
    app.connect("env-get-outdated", notebooks_of_another_digest)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
