"""Text as Python: ``"name(key=value, ...)"``, numbers and fractions."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

__all__ = ["parse", "parse_number", "quoted"]

# "module:" before the name of a class.
MODULE = re.compile(r"\s*([A-Za-z_][\w.]*:)(?=[A-Za-z_])")
# A name of the catalog, whose words may be joined by hyphens.
NAME = re.compile(r"\s*[A-Za-z_][\w-]*")


def parse(text: str, argument: str = "method") -> tuple[str, dict[str, Any]]:
    """``"name(key=value, ...)"`` as a name and a dict, without evaluating anything.

    Parameters
    ----------
    text : str
        Values are Python literals or fractions; the words of the name may be joined by hyphens, and
        ``"module:"`` may stand before it.
    argument : str, default "method"
        The name of the argument in messages.

    Returns
    -------
    tuple of (str, dict of str to Any)

    Raises
    ------
    ValueError
        If it cannot be read.

    Examples
    --------
    >>> parse("heat(time=3)")
    ('heat', {'time': 3})
    """
    module = MODULE.match(text)
    home, rest = (module[1], text[module.end() :]) if module else ("", text)
    if not module:
        rest = NAME.sub(lambda name: name[0].replace("-", "_"), rest, count=1)
    try:
        tree = ast.parse(rest.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return home + tree.id, {}
        if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
            raise ValueError
        if tree.args or any(keyword.arg is None for keyword in tree.keywords):
            raise ValueError
        return home + tree.func.id, {str(k.arg): _literal(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(
            f"cannot read the {argument} {text!r}; write name or name(key=value, ...)"
        ) from None


def _literal(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return parse_number(f"{ast.literal_eval(node.left)}/{ast.literal_eval(node.right)}")
    return ast.literal_eval(node)


def parse_number(text: Any) -> float:
    """A number or a fraction: ``"0.098"``, ``"25/255"``.

    Examples
    --------
    >>> parse_number("51/255")
    0.2
    """
    above, slash, below = str(text).partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is not a number; write 0.098 or 25/255") from None


def quoted(text: str) -> str:
    """A text such as that of a method, quoted for a shell.

    Examples
    --------
    >>> print(quoted("ddpm(weights='my.safetensors')"))
    "ddpm(weights='my.safetensors')"
    """
    # Double quotes read better around single ones, where they are as good.
    if set(text) & set("$`\\!"):
        return shlex.quote(text)
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
