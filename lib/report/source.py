"""Code as a reader meets it: the source of a function, method or class, highlighted in HTML, PDF and Colab."""

import ast
import inspect
from pathlib import Path
from textwrap import dedent

from IPython.display import Markdown

from lib.paths import ROOT

MOST = 40  # lines: what is longer explains nothing on a page


def show(*objects: object) -> Markdown:
    """The source of functions, methods or classes without their docstrings, each under the path of its file.

    raises  ValueError, naming the object, for one of more than MOST lines; TypeError for one without source
    """
    return Markdown("\n\n".join(_block(one) for one in objects))


def _block(one: object) -> str:
    made = inspect.unwrap(one) if callable(one) else one
    lines = _without_docstring(dedent(inspect.getsource(made)))
    name = getattr(made, "__qualname__", repr(made))
    if len(lines) > MOST:
        raise ValueError(f"{name}: {len(lines)} lines of code, at most {MOST} can be shown")
    file = Path(inspect.getsourcefile(made)).resolve()
    place = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name
    return "\n".join([f"`{name}` in `{place}`:", "", "```python", *lines, "```"])


def _without_docstring(source: str) -> list[str]:
    """Lines of a definition, its own docstring left out."""
    lines = source.rstrip().splitlines()
    (node,) = ast.parse(source).body
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    if not is_text or len(node.body) == 1:
        return lines
    return lines[: first.lineno - 1] + lines[first.end_lineno :]
