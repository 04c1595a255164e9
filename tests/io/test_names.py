"""Names that are safe to show, and sorted as people sort them."""

from __future__ import annotations

import pytest

from analytics.io.names import MAX_NAME, natural_key, plain_name, plain_path, shorten


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("cat.png", "cat.png"),
        ("a/b/cat.png", "a/b/cat.png"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\cat.png", "Users/me/cat.png"),
        ("cat\r\nSet-Cookie: x.png", "catSet-Cookie: x.png"),
        ("nul\0l.png", "null.png"),
        ("gnp\u202e.exe", "gnp.exe"),
        ("  spaced   out .png ", "spaced out .png"),
        ("e\u0301te\u0301.png", "\u00e9t\u00e9.png"),
        ("\ud800.png", ".png"),
        ("", "unnamed"),
        ("///", "unnamed"),
        ("..", "unnamed"),
    ],
)
def test_plain_path(name: str, plain: str) -> None:
    assert plain_path(name) == plain


def test_plain_name_is_the_last_part() -> None:
    assert plain_name("C:\\pictures\\cat.png") == "cat.png"
    assert plain_name("a/b/") == "b"


def test_long_names_keep_their_ending_and_stay_the_same_when_cleaned_again() -> None:
    plain = plain_path("x" * 500 + ".jpeg")
    assert len(plain) == MAX_NAME
    assert plain.endswith(".jpeg")
    assert "..." in plain
    assert plain_path(plain) == plain
    assert shorten("short") == "short"


def test_natural_order() -> None:
    names = ["a10.png", "A9.png", "b1/10.png", "b1/2.png", "a007.png", "2.png", "\u00b22.png"]
    expected = ["2.png", "a007.png", "A9.png", "a10.png", "b1/2.png", "b1/10.png", "\u00b22.png"]
    assert sorted(names, key=natural_key) == expected
