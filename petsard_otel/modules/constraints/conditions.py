"""Conditions on the columns of a table, such as `age >= 18 & job IS NOT pd.NA`.

A condition is split into tokens; those become the text of an expression of placeholders, whose
tree, never whose value, Python's own parser gives: `&` stands for its `and`, `|` for its `or`,
with the same precedence. What the tree may hold is listed here and becomes pandas operations.
"""

from __future__ import annotations

import ast
import operator
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from petsard_otel.modules.constraints.columns import (
    add,
    booleans,
    column_of,
    column_or_number,
    compare,
    is_nonzero,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Holds = NDArray[np.bool_]

Compiled = Callable[[pd.DataFrame], Any]
"""What gives a column, or one value for all rows, or for each row whether something holds."""

COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.NotEq: operator.ne,
}
"""The comparisons, by the name that Python's grammar has for them."""

WORDS: Mapping[str, str] = {"&": "and", "|": "or", "IS": "is", "NOT": "not", "pd.NA": "None"}
"""What Python's grammar calls the operators and the missing value."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'[^']*'|"[^"]*")
      | DATE\(\s*(?P<quote>['"]?)(?P<date>\d{4}-\d{2}-\d{2})(?P=quote)\s*\)
      | (?P<symbol><=|>=|==|!=|[<>&|()+])
      | (?P<word>[^\s<>=!&|()+'"]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as it was written, and what it comes to.

    A comparison with a missing value is false, whatever the operator; `IS` compares without that
    exception. A category is compared by its value.
    """

    text: str
    _compiled: Compiled = field(repr=False, compare=False)

    def holds(self, data: pd.DataFrame) -> Holds:
        """Tell for each row of `data` whether the condition holds.

        Raises:
            DataError: A column is not there, or its values cannot be compared so.
        """
        result: Holds = self._compiled(data)
        return result


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        ValueError: It cannot be read; the message says at which character, counted from 1.
    """
    return Condition(text, _Compiler(text).compile())


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Compiler:
    """Turns one condition into pandas operations."""

    def __init__(self, text: str) -> None:
        self._terms: dict[str, _Token] = {}
        self._starts: list[int] = []
        self._tokens = list(_tokens(text))
        self._source = ""
        for token in self._tokens:
            self._starts.append(len(self._source))
            self._source += self._translated(token) + " "

    def compile(self) -> Compiled:
        source = self._source.rstrip()
        try:
            tree = ast.parse(source, mode="eval").body
        except SyntaxError as error:
            # An offset of 0 stands for the end, where more was expected.
            offset = (error.offset or len(source) + 1) - 1
            is_bracket = "(" in error.msg or ")" in error.msg
            unread = "this cannot be read" if offset < len(source) else "more must follow this"
            raise self._error(error.msg if is_bracket else unread, offset) from None
        if isinstance(tree, ast.Name):
            raise self._error("expected a comparison, such as > 0 or IS NOT pd.NA", 0)
        return self._condition(tree)

    def _translated(self, token: _Token) -> str:
        if token.kind == "symbol" or token.text in WORDS:
            return WORDS.get(token.text, token.text)
        placeholder = f"_{len(self._terms)}"
        self._terms[placeholder] = token
        return placeholder

    def _condition(self, node: ast.expr) -> Compiled:
        """Compile what holds or does not."""
        match node:
            case ast.BoolOp(op=junction, values=nodes):
                parts = [self._condition(part) for part in nodes]
                join = operator.and_ if isinstance(junction, ast.And) else operator.or_
                return lambda data: reduce(join, [part(data) for part in parts])
            case ast.Compare(left=left, ops=[symbol], comparators=[right]):
                return self._comparison(left, symbol, right)
            case ast.Compare(comparators=[_, second, *_]):
                raise self._error("comparisons do not chain; join two with &", second.col_offset)
            case ast.Name(id=name) if self._terms[name].kind == "word":
                column = self._terms[name].text
                return lambda data: is_nonzero(column_of(data, column))
        raise self._error("expected a condition", node.col_offset)

    def _comparison(self, left: ast.expr, symbol: ast.cmpop, right: ast.expr) -> Compiled:
        first = self._operand(left)
        is_identity = isinstance(symbol, ast.Is | ast.IsNot)
        if isinstance(right, ast.Constant):
            if not is_identity:
                raise self._error("nothing equals pd.NA; write IS pd.NA", right.col_offset)
            second = None
        else:
            second = self._operand(right)
        names = f"{self._described(left)} and {self._described(right)}"

        def holds(data: pd.DataFrame) -> Holds:
            value = first(data)
            if second is None:
                result = booleans(pd.isna(value), data)
            else:
                compared = ast.Eq if is_identity else type(symbol)
                result = compare(COMPARISONS[compared], value, second(data), data, names)
            return ~result if isinstance(symbol, ast.IsNot) else result

        return holds

    def _operand(self, node: ast.expr) -> Compiled:
        """Compile a side of a comparison: a value, or a condition in parentheses."""
        if isinstance(node, ast.BoolOp | ast.Compare):
            holds = self._condition(node)
            return lambda data: pd.Series(holds(data), index=data.index)
        return self._value(node)

    def _value(self, node: ast.expr) -> Compiled:
        match node:
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                parts = (self._value(left), self._value(right))
                names = f"{self._described(left)} and {self._described(right)}"
                return lambda data: add(parts[0](data), parts[1](data), names)
            case ast.Name(id=name):
                return _term(self._terms[name])
        raise self._error("expected a column, a number, a 'text' or a DATE(...)", node.col_offset)

    def _described(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            return "an expression"
        token = self._terms[node.id]
        return repr(token.text) if token.kind == "word" else f"a {token.kind}"

    def _error(self, message: str, offset: int) -> ValueError:
        if not self._tokens:
            return ValueError("expected a condition, such as age >= 18")
        token = self._tokens[max(bisect_right(self._starts, offset) - 1, 0)]
        return _error(message, token.position)


def _tokens(text: str) -> Iterator[_Token]:
    """Split a condition; words that follow one another are one column's name."""
    words: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            found = len(text) - len(text[position:].lstrip())
            what = "quote is not closed" if text[found] in "'\"" else "character means nothing"
            raise _error(f"this {what}", found)
        kind = str(match.lastgroup)
        token = _Token(kind, match[kind], match.start(kind))
        if kind == "word" and token.text not in WORDS:
            words.append(token)
        else:
            yield from _joined(words)
            yield token
            words = []
        position = match.end()
    yield from _joined(words)


def _joined(words: list[_Token]) -> Iterator[_Token]:
    if words:
        yield _Token("word", " ".join(word.text for word in words), words[0].position)


def _error(message: str, position: int) -> ValueError:
    return ValueError(f"{message}, at character {position + 1}")


def _term(token: _Token) -> Compiled:
    """Compile a column, a number, a text or a date."""
    if token.kind == "text":
        return lambda _: token.text[1:-1]
    if token.kind == "date":
        try:
            date = pd.Timestamp(token.text)
        except ValueError:
            raise _error("there is no such date", token.position) from None
        return lambda _: date
    return lambda data: column_or_number(data, token.text)
