"""Predicates: conditions that a variant satisfies or not, as values with a text of their own.

A predicate is built from key paths (`hlsdl.height <= 720`) or read from an expression (`expressions`); `str()` of it is
the expression that reads back to an equal one, so a task that outlives its process keeps what it was asked. Values are
compared here; where they come from is `asset_variant`'s business.

An attribute that the playlist does not declare has no value, and every comparison with it is false, `!=` too (as
with NULL in SQL). `not` turns only the outcome round: `not height > 720` is true where no height is declared.

Source: NSPredicate over AVAssetVariant, as AVAssetVariantQualifier takes it.
"""

from __future__ import annotations

import operator as operators
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from hlsdl.errors import UsageError
from hlsdl.planning import languages
from hlsdl.planning.codecs import four_characters

LARGEST_NUMBER = 10**15
"""No bitrate, size or rate is larger; a number beyond it is a mistake."""

CONTAINS = "contains"
IS_IN = "in"


class Kind(StrEnum):
    """How the values of an attribute are compared."""

    NUMBER = "number"
    TEXT = "text"
    """To the letter."""
    WORD = "word"
    """Enumerated texts: capitals do not matter."""
    CODEC = "codec"
    """The four-character name; a text with a dot is compared with the whole codec. Capitals do not matter."""
    LANGUAGE = "language"
    """BCP 47: `en` and `en-US` match."""
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One name that a condition may use."""

    kind: Kind
    many: bool = False
    """Several values at once: a comparison is true when one of them meets it, `!=` when none is equal."""
    of_option: bool = False
    """May be asked of one audio option instead of the best of the variant's audio group."""


ATTRIBUTES: Mapping[str, Attribute] = {
    "peak_bit_rate": Attribute(kind=Kind.NUMBER),
    "average_bit_rate": Attribute(kind=Kind.NUMBER),
    "width": Attribute(kind=Kind.NUMBER),
    "height": Attribute(kind=Kind.NUMBER),
    "frame_rate": Attribute(kind=Kind.NUMBER),
    "video_range": Attribute(kind=Kind.WORD),
    "codecs": Attribute(kind=Kind.CODEC, many=True),
    "score": Attribute(kind=Kind.NUMBER),
    "stable_id": Attribute(kind=Kind.TEXT),
    "pathway": Attribute(kind=Kind.TEXT),
    "video_layout": Attribute(kind=Kind.WORD, many=True),
    "channels": Attribute(kind=Kind.NUMBER, of_option=True),
    "sample_rate": Attribute(kind=Kind.NUMBER, of_option=True),
    "binaural": Attribute(kind=Kind.FLAG, of_option=True),
    "immersive": Attribute(kind=Kind.FLAG, of_option=True),
    "downmix": Attribute(kind=Kind.FLAG, of_option=True),
    "language": Attribute(kind=Kind.LANGUAGE, many=True),
}
"""Every name, in the order in which people are told of them."""

Value: TypeAlias = int | float | str | bool
Values: TypeAlias = tuple[Value, ...]

_ORDERINGS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
EQUALITIES = ("==", "!=")
COMPARISONS = (*_ORDERINGS, *EQUALITIES)


class Subject(Protocol):
    """What a predicate is asked about."""

    def attribute(self, name: str, option: str | None = None) -> Value | Values | None:
        """The value of one of `ATTRIBUTES`: None when undeclared, a tuple for those that have several.

        Args:
            name: a name in `ATTRIBUTES`.
            option: the id of an audio option; None stands for the best of the audio group.
        """
        ...


class Predicate(ABC):
    """A condition. Combine with `&`, `|`, `~`; `and`, `or`, `not` and `a < x < b` cannot work and raise TypeError."""

    __slots__ = ()

    @abstractmethod
    def matches(self, subject: Subject) -> bool:
        """Whether `subject` satisfies it."""

    @abstractmethod
    def __str__(self) -> str:
        """The expression that `expressions.parse_expression` reads back to an equal predicate."""

    def __and__(self, other: object) -> Predicate:
        return all_of((self, other)) if isinstance(other, Predicate) else NotImplemented

    def __or__(self, other: object) -> Predicate:
        return any_of((self, other)) if isinstance(other, Predicate) else NotImplemented

    def __invert__(self) -> Predicate:
        return self.part if isinstance(self, Negation) else Negation(self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a predicate is neither true nor false by itself: combine with `&`, `|`, `~` in place of `and`, `or`, "
            "`not`, and write `(a <= x) & (x <= b)` for `a <= x <= b`"
        )


@dataclass(frozen=True, slots=True)
class Comparison(Predicate):
    """One attribute compared with a value.

    Raises:
        UsageError: the attribute does not exist, or cannot be compared so.
    """

    name: str
    operator: str
    """`== != < <= > >=`, `in` (one of several values), `contains` (of attributes with several values)."""
    value: Value | Values
    option: str | None = None
    """The id of the audio option that is asked, else the best of the audio group."""

    def __post_init__(self) -> None:
        attribute = ATTRIBUTES.get(self.name)
        if attribute is None:
            raise UsageError(f"there is no attribute `{self.name}` of a variant", hint=NAMES_HINT)
        if self.option is not None and not attribute.of_option:
            raise UsageError(f"`{self.name}` belongs to the variant, not to an audio option", hint=NAMES_HINT)
        _check_operator(self.name, attribute, self.operator)
        if self.operator != IS_IN:
            _check_value(self.name, attribute.kind, self.value)
            return
        if not isinstance(self.value, tuple) or not self.value:
            raise UsageError(f"`{self.name}` is compared with an empty list", hint="give at least one value")
        for one in self.value:
            _check_value(self.name, attribute.kind, one)

    def matches(self, subject: Subject) -> bool:
        """Whether the attribute is declared and meets the comparison."""
        found = subject.attribute(self.name, self.option)
        offered = found if isinstance(found, tuple) else () if found is None else (found,)
        if not offered:
            return False
        if self.operator in _ORDERINGS:
            compare = _ORDERINGS[self.operator]
            return any(compare(float(one), float(self.value)) for one in offered)  # type: ignore[arg-type]
        kind = ATTRIBUTES[self.name].kind
        wanted = self.value if isinstance(self.value, tuple) else (self.value,)
        is_equal = any(_same(kind, one, other) for one in wanted for other in offered)
        return is_equal != (self.operator == "!=")

    def __str__(self) -> str:
        name = self.name if self.option is None else f"{self.name}[{self.option!r}]"
        if self.operator == CONTAINS:
            return f"{self.value!r} in {name}"
        if isinstance(self.value, tuple):
            return f"{name} in [{', '.join(map(repr, self.value))}]"
        if self.value is True and self.operator == "==":
            return name
        return f"{name} {self.operator} {self.value!r}"


@dataclass(frozen=True, slots=True)
class Conjunction(Predicate):
    """All of several conditions; made by `all_of`."""

    parts: tuple[Predicate, ...]

    def matches(self, subject: Subject) -> bool:
        """Whether every part is satisfied."""
        return all(part.matches(subject) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Disjunction) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Disjunction(Predicate):
    """One or more of several conditions; made by `any_of`."""

    parts: tuple[Predicate, ...]

    def matches(self, subject: Subject) -> bool:
        """Whether a part is satisfied."""
        return any(part.matches(subject) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Negation(Predicate):
    """The opposite of a condition; made by `~`."""

    part: Predicate

    def matches(self, subject: Subject) -> bool:
        """Whether the part is not satisfied, be it for want of a declared value."""
        return not self.part.matches(subject)

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, Conjunction | Disjunction) else f"not {self.part}"


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """The condition that all of `parts` hold; one inside another is the same as one."""
    flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Conjunction) else (part,)))
    return flat[0] if len(flat) == 1 else Conjunction(flat)


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """The condition that at least one of `parts` holds."""
    flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Disjunction) else (part,)))
    return flat[0] if len(flat) == 1 else Disjunction(flat)


NAMES_HINT = f"attributes: {', '.join(ATTRIBUTES)}"


def _check_operator(name: str, attribute: Attribute, operator: str) -> None:
    if operator in _ORDERINGS and attribute.kind is not Kind.NUMBER:
        raise UsageError(f"`{name}` has no order: `{operator}` cannot be used", hint="`==`, `!=` and `in` can")
    if operator == CONTAINS and not attribute.many:
        raise UsageError(
            f"`{name}` is one value, and nothing is in it", hint=f"write `{name} == …` or `{name} in [ … ]`"
        )
    if operator not in (*COMPARISONS, CONTAINS, IS_IN) or (operator == IS_IN and attribute.kind is Kind.FLAG):
        raise UsageError(f"`{name}` cannot be compared by `{operator}`", hint="`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`")


def _check_value(name: str, kind: Kind, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {Kind.NUMBER: is_number, Kind.FLAG: isinstance(value, bool)}.get(kind, isinstance(value, str))
    if not fits:
        wanted = {Kind.NUMBER: "a number", Kind.FLAG: "`True` or `False`"}.get(kind, "a text")
        raise UsageError(f"`{name}` is compared with {wanted}", hint="texts stand in quotes, numbers do not")
    if is_number and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # type: ignore[operator]
        raise UsageError(f"`{name}` is compared with a number that is too large")


def _same(kind: Kind, wanted: Value, offered: Value) -> bool:
    if kind is Kind.LANGUAGE:
        return languages.matches(str(wanted), str(offered))
    if kind is Kind.CODEC:
        whole = str(offered) if "." in str(wanted) else four_characters(str(offered))
        return str(wanted).casefold() == whole.casefold()
    if kind is Kind.WORD:
        return str(wanted).casefold() == str(offered).casefold()
    return wanted == offered
