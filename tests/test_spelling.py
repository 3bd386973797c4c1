"""Text becomes names, parameters and numbers."""

import pytest

from difffilter.spelling import parse, parse_number


def test_parse_number():
    assert parse_number("25/255") == 25 / 255
    assert parse_number(" 1e-2 ") == 0.01
    for bad in ("", "x", "1/0", "1/2/3", "1,5"):
        with pytest.raises(ValueError, match=r"is not a number; write 0\.098 or 25/255"):
            parse_number(bad)


def test_fractions_may_be_parameters():
    assert parse("heat(time=1/4)") == ("heat", {"time": 0.25})


def test_the_message_names_the_argument():
    for text in ("a(", "a(1)", "a(b=c)", "a(**{})", "a.b()"):
        with pytest.raises(ValueError, match=r"cannot read the noise 'a.*write name or name\(key="):
            parse(text, "noise")
