"""The page of known limits, written from the marks of the tests behind it.

A refusal that users meet has a test, marked `limit(subject, refused, why)`.
`python book/_ext/limits.py` writes the page anew; a test compares the two.
"""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book/limits.md"
TESTS = "https://github.com/denis7-jean/ece1512-projectA/blob/main"
SUBJECTS = {  # subject of a mark -> heading
    "ssm": "State space models and their scan",
    "mrss": "Multi-resolution models",
    "distill": "Kernel distillation",
    "clip": "CLIP and token reduction",
    "lora": "Adapters",
    "ssm_vlm": "State space models that see",
    "profilers": "Measuring",
    "records": "Records",
    "parameters": "Parameters of the chapters",
    "machines": "Machines, compilers and files",
}
OPENING = """# Known limits

What this project refuses, and why. A refusal is one plain line that names the
value and what is allowed, and it comes before anything has changed. Each item
links the test that holds the project to it: this page is written from them.
"""


class Limit(NamedTuple):
    """A refusal: its subject, what is refused, why, and the test's file."""

    subject: str
    refused: str
    why: str
    path: str


def found(root: Path = ROOT) -> list[Limit]:
    """Limits that tests are marked with, by subject and then by their words.

    raises   ValueError, naming file and line, for a mark that is not three
             texts, of an unknown subject, or said twice
    """
    seen = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        name = path.relative_to(root).as_posix()
        for call in _marks(path):
            where = f"{name}, line {call.lineno}"
            limit = Limit(*_texts(call, where), name)
            if limit.subject not in SUBJECTS:
                allowed = ", ".join(SUBJECTS)
                said = f"{where}: subject {limit.subject!r}"
                raise ValueError(f"{said}: one of {allowed} is needed")
            if limit[:2] in seen:
                said = f"{where}: this limit is said twice"
                raise ValueError(f"{said}: {limit.refused}")
            seen[limit[:2]] = limit
    order = list(SUBJECTS)
    return sorted(
        seen.values(),
        key=lambda limit: (order.index(limit.subject), limit.refused.lower()),
    )


def page(limits: list[Limit]) -> str:
    """Text of the page: a list per subject."""
    parts = [OPENING]
    for subject, heading in SUBJECTS.items():
        rows = [_row(limit) for limit in limits if limit.subject == subject]
        if rows:
            parts.append("\n".join([f"## {heading}", "", *rows, ""]))
    return "\n".join(parts)


def _marks(path: Path) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return [call for call in calls if _name(call) == "pytest.mark.limit"]


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _texts(call: ast.Call, where: str) -> list[str]:
    texts = [getattr(word, "value", None) for word in call.args]
    strings = all(isinstance(text, str) for text in texts)
    if len(texts) != 3 or not strings or call.keywords:
        needed = "a limit has three texts: its subject, what is refused, why"
        raise ValueError(f"{where}: {needed}")
    return texts


def _row(limit: Limit) -> str:
    what, why = (text.replace("$", "\\$") for text in limit[1:3])
    link = f"([test]({TESTS}/{limit.path}))"
    return f"- **{what.rstrip('.')}.** {why} {link}"


if __name__ == "__main__":
    PAGE.write_text(page(found()), encoding="utf-8")
