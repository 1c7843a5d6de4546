import pytest

from winninghand import InputError
from winninghand.base.errors import counted, shown, with_article


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a plain naïve name, 猫 👨‍👩‍👧", "a plain naïve name, 猫 👨‍👩‍👧"),
        ("a\x1b[2K\r\n\tb", r"a\x1b[2K\r\n\tb"),
        ("cat\u202egpj.exe\u2066", r"cat\u202egpj.exe\u2066"),
        ("a\x9b1mb\u2028c\x00", r"a\x9b1mb\u2028c\x00"),
        ("\udcff", r"\udcff"),
        ("x" * 300, "x" * 199 + "…"),
        (7, "7"),
    ],
)
def test_what_controls_a_terminal_is_escaped_and_long_text_is_cut(text, expected):
    assert shown(text) == expected


def test_every_input_error_is_one_line_without_controls():
    assert str(InputError("no file\n 'a\x1b[31m\u202e'")) == r"no file 'a\x1b[31m\u202e'"
    assert len(str(InputError("x" * 10**6))) == 2000


def test_numbers_of_things_are_words():
    assert [counted(number, "card") for number in (0, 1, 2000)] == ["0 cards", "1 card", "2,000 cards"]
    assert counted(3, "severity", "severities") == "3 severities"
    assert [with_article(kind) for kind in ("int", "Tensor", "uint8")] == ["an int", "a Tensor", "a uint8"]
