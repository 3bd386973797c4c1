"""Types of option values: numbers and fractions, lists of them, contrasts."""

from __future__ import annotations

import click

__all__ = ["Contrast", "Number", "Numbers"]


class Number(click.ParamType):
    """A number or a fraction: 0.098 or 25/255."""

    name = "number"

    def convert(self, value, param, ctx):
        from difffilter.spelling import parse_number

        try:
            return parse_number(value)
        except ValueError:
            raise click.UsageError(
                f"{param.opts[0]} is {value!r}; expected a number such as 0.098 or 25/255", ctx
            ) from None


class Numbers(Number):
    """Numbers separated by commas: 3,1,1. One number alone stays a number."""

    name = "numbers"

    def convert(self, value, param, ctx):
        numbers = tuple(super(Numbers, self).convert(part, param, ctx) for part in value.split(","))
        return numbers[0] if len(numbers) == 1 else numbers


class Contrast(Number):
    """A number, a fraction, or the name of a rule for κ."""

    name = "number|rule"

    def convert(self, value, param, ctx):
        if not str(value)[:1].isalpha():
            return super().convert(value, param, ctx)
        from difffilter.checks import check_choice
        from difffilter.pde.choose.kappa import KAPPA_RULES

        return check_choice("kappa", value, KAPPA_RULES)
