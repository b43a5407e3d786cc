"""Numbers as a reader meets them: a value in base units becomes a short text with its unit."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def milliseconds(seconds: float) -> str:
    """`12.3 ms`; three figures, whole numbers from 100 ms on."""
    return f"{_figures(seconds * 1e3)} ms"


def times(ratio: float) -> str:
    """`1.52×`; whole numbers from 10 on."""
    return f"{ratio:.{2 if ratio < 10 else 0}f}×"


def change(ratio: float) -> str:
    """A ratio as the change it makes: `+50 %`, `−27 %`."""
    return signed_share(ratio - 1, 0)


def signed(value: float, decimals: int = 1) -> str:
    """A number with its sign: `+0.3`, `−4.0`; what is rounded to zero is `+0.0`."""
    return f"{round(value, decimals) + 0.0:+.{decimals}f}".replace("-", "−")  # a zero more, so that none is negative


def signed_share(part: float, decimals: int = 1) -> str:
    """A part of one in percent, with its sign: `+3.3 %`, `−43.6 %`."""
    return f"{signed(100 * part, decimals)} %"


def tiny(value: float) -> str:
    """`3 × 10⁻⁷` below a thousandth, `0.42` from there on."""
    if value >= 1e-3 or value == 0:
        return f"{value:.2g}"
    digit, power = f"{value:.0e}".split("e")
    return f"{digit} × 10{str(int(power)).translate(_RAISED)}"


def share(part: float) -> str:
    """A part of one in percent: `27 %`."""
    return f"{part:.0%}".replace("%", " %")


def giga(operations: float) -> str:
    """`38.59 G`, as the original report's table prints operations."""
    return f"{operations / 1e9:.2f} G"


def binary(size: float) -> str:
    """`521 MiB`; the unit that leaves at most four digits before the point."""
    power = 0
    while size >= 1024 and power < len(_BINARY) - 1:
        size /= 1024
        power += 1
    return f"{_figures(size)} {_BINARY[power]}"


def interval(low: float, high: float) -> str:
    """`[0.98, 1.04]`."""
    return f"[{low:.2f}, {high:.2f}]"


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _figures(value: float) -> str:
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{decimals}f}"


ABOUT = {  # words for a ratio -> from which ratio on
    "less than a quarter": 0.0,
    "about a quarter": 0.22,
    "about a third": 0.29,
    "about two fifths": 0.365,
    "about half": 0.45,
    "about three fifths": 0.555,
    "about two thirds": 0.63,
    "about three quarters": 0.71,
    "about four fifths": 0.78,
    "about nine tenths": 0.85,
    "nearly all": 0.94,
}


def about(ratio: float) -> str:
    """A part of a whole in words, `about half`; `all` from nearly one on, `more than all` from a fiftieth above it."""
    if ratio >= 0.98:
        return "all" if ratio <= 1.02 else "more than all"
    return [word for word, least in ABOUT.items() if ratio >= least][-1]
