import pytest

from lib.report import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (units.milliseconds(0.0123), "12.3 ms"),
        (units.milliseconds(1.5), "1500 ms"),
        (units.milliseconds(0.000123), "0.12 ms"),
        (units.times(1.4977), "1.50×"),
        (units.change(1.5), "+50 %"),
        (units.change(0.727), "−27 %"),
        (units.change(0.999), "+0 %"),
        (units.signed(-4.04), "−4.0"),
        (units.signed(-0.04), "+0.0"),
        (units.signed(0.256, 2), "+0.26"),
        (units.signed_share(-0.436), "−43.6 %"),
        (units.signed_share(-0.0004), "+0.0 %"),
        (units.share(0.273), "27 %"),
        (units.giga(38_587_596_800), "38.59 G"),
        (units.binary(512), "512 B"),
        (units.binary(128 * 2**20), "128 MiB"),
        (units.binary(1.5 * 2**40), "1.50 TiB"),
        (units.binary(3000 * 2**50), "3000 PiB"),
        (units.interval(0.984, 1.036), "[0.98, 1.04]"),
        (units.listed(["a"]), "a"),
        (units.listed(["a", "b"]), "a and b"),
        (units.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_a_number_reads_as_a_reader_expects(text, expected):
    assert text == expected


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.1, "less than a quarter"),
        (0.25, "about a quarter"),
        (1 / 3, "about a third"),
        (0.5, "about half"),
        (0.65, "about two thirds"),
        (0.9, "about nine tenths"),
        (0.97, "nearly all"),
        (1.0, "all"),
        (1.44, "more than all"),
    ],
)
def test_a_part_in_words(ratio, said):
    assert units.about(ratio) == said
