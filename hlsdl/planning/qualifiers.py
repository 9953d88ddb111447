"""Variant qualifiers: which variants an app would have, in its order of liking.

Qualifiers are asked in order; the first that at least one variant satisfies decides, and among the variants it keeps
the automatic rules of `variants` go on. When none is satisfied the choice is automatic among all: a qualifier never
fails. So `peak_bit_rate >= 2_000_000` alone gives the *best* variant above 2 Mbit/s, not the nearest to it: for "the
lowest at or above" there is `Preferences.min_bitrate`, and for a ceiling a second comparison.

Source: AVAssetVariantQualifier, AVAssetDownloadContentConfiguration.variantQualifiers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hlsdl.errors import UsageError
from hlsdl.planning.asset_variant import AssetVariant
from hlsdl.planning.expressions import parse_expression
from hlsdl.planning.key_paths import KeyPath
from hlsdl.planning.predicates import Predicate
from hlsdl.playlist.models import Variant

_EXPLICIT, _MAXIMUM, _MINIMUM = "=variant:", "=max:", "=min:"


def _number(name: str) -> Callable[[AssetVariant], tuple[float, ...]]:
    def read(variant: AssetVariant) -> tuple[float, ...]:
        found = variant.attribute(name)
        return (float(found),) if isinstance(found, int | float) else ()

    return read


def _size(variant: AssetVariant) -> tuple[float, ...]:
    size = variant.variant.resolution
    return (size[0] * size[1], size[1]) if size else ()


MEASURES: Mapping[str, Callable[[AssetVariant], tuple[float, ...]]] = {
    **{name: _number(name) for name in ("peak_bit_rate", "average_bit_rate", "width", "height")},
    "presentation_size": _size,
}
"""What `maximum` and `minimum` can compare; an empty tuple is undeclared. A size counts by area, then height."""


class _Rule(Protocol):
    """What a qualifier does."""

    @property
    def text(self) -> str: ...
    @property
    def kept(self) -> str: ...
    @property
    def rejected(self) -> str: ...
    def matching(self, variants: Sequence[AssetVariant]) -> tuple[AssetVariant, ...]: ...


@dataclass(frozen=True, slots=True)
class _Satisfying:
    predicate: Predicate

    @property
    def text(self) -> str:
        return str(self.predicate)

    @property
    def kept(self) -> str:
        return f"satisfies `{self.predicate}`"

    @property
    def rejected(self) -> str:
        return f"does not satisfy `{self.predicate}`"

    def matching(self, variants: Sequence[AssetVariant]) -> tuple[AssetVariant, ...]:
        return tuple(one for one in variants if self.predicate.matches(one))


@dataclass(frozen=True, slots=True)
class _Exactly:
    """One row of the ladder, found again by its attributes: addresses expire, and are nobody's business."""

    index: int
    digest: str
    stable_id: str | None

    @property
    def text(self) -> str:
        return f"{_EXPLICIT}{self.index}:{self.digest}:{self.stable_id or ''}"

    @property
    def kept(self) -> str:
        return f"is #{self.index}, which a qualifier names"

    @property
    def rejected(self) -> str:
        return f"is not #{self.index}, which a qualifier names"

    def matching(self, variants: Sequence[AssetVariant]) -> tuple[AssetVariant, ...]:
        same = [one for one in variants if _digest(one.variant) == self.digest]
        if not same and self.stable_id is not None:
            same = [one for one in variants if one.variant.stable_id == self.stable_id]
        return tuple(sorted(same, key=lambda one: one.index != self.index)[:1])


@dataclass(frozen=True, slots=True)
class _Extreme:
    name: str
    largest: bool

    @property
    def text(self) -> str:
        return f"{_MAXIMUM if self.largest else _MINIMUM}{self.name}"

    @property
    def kept(self) -> str:
        return f"has the {'maximum' if self.largest else 'minimum'} of `{self.name}`"

    @property
    def rejected(self) -> str:
        return f"does not have the {'maximum' if self.largest else 'minimum'} of `{self.name}`"

    def matching(self, variants: Sequence[AssetVariant]) -> tuple[AssetVariant, ...]:
        measured = [(MEASURES[self.name](one), one) for one in variants]
        declared = [value for value, _ in measured if value]
        if not declared:
            return ()
        target = max(declared) if self.largest else min(declared)
        return tuple(one for value, one in measured if value == target)


Condition: TypeAlias = "Predicate | KeyPath | str"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class VariantQualifier:
    """One way to say which variants will do; see the module for what a list of them means."""

    rule: _Rule

    def __init__(self, condition: Condition) -> None:
        """The variants that satisfy a predicate, or the expression of one (`"height <= 720"`).

        Raises:
            UsageError: no such expression, or a predicate whose text would be over the limits of one.
        """
        object.__setattr__(self, "rule", _Satisfying(_predicate(condition)))

    @classmethod
    def of_variant(cls, variant: AssetVariant | Variant) -> VariantQualifier:
        """Exactly this variant, without regard to anything else that is preferred."""
        row = variant.variant if isinstance(variant, AssetVariant) else variant
        return cls._with(_Exactly(row.index, _digest(row), row.stable_id))

    @classmethod
    def maximum(cls, key_path: KeyPath | str) -> VariantQualifier:
        """The variants with the largest value that is declared.

        Args:
            key_path: `peak_bit_rate`, `average_bit_rate`, `width`, `height`, or the text `presentation_size` (by area).

        Raises:
            UsageError: another attribute.
        """
        return cls._with(_Extreme(_measure(key_path), largest=True))

    @classmethod
    def minimum(cls, key_path: KeyPath | str) -> VariantQualifier:
        """The variants with the smallest value that is declared; see `maximum`."""
        return cls._with(_Extreme(_measure(key_path), largest=False))

    @classmethod
    def from_text(cls, text: str) -> VariantQualifier:
        """The qualifier that `text` stands for.

        Raises:
            UsageError: it is no text of a qualifier.
        """
        if text.startswith(_EXPLICIT):
            index, _, rest = text.removeprefix(_EXPLICIT).partition(":")
            digest, _, stable_id = rest.partition(":")
            if index.isdecimal() and len(index) < 10 and digest:
                return cls._with(_Exactly(int(index), digest, stable_id or None))
            raise UsageError("the qualifier names no variant")
        for prefix, largest in ((_MAXIMUM, True), (_MINIMUM, False)):
            if text.startswith(prefix):
                return cls._with(_Extreme(_measure(text.removeprefix(prefix)), largest=largest))
        return cls(text)

    @property
    def text(self) -> str:
        """The canonical text for storage: an expression, `=variant:…`, `=max:…` or `=min:…`."""
        return self.rule.text

    @property
    def is_explicit(self) -> bool:
        """Whether it names one variant, which is then taken as it is."""
        return isinstance(self.rule, _Exactly)

    def matching(self, variants: Sequence[AssetVariant]) -> tuple[AssetVariant, ...]:
        """Those that satisfy it, in their order."""
        return self.rule.matching(variants)

    def __repr__(self) -> str:
        return f"VariantQualifier({self.text!r})"

    @classmethod
    def _with(cls, rule: _Rule) -> VariantQualifier:
        made = cls.__new__(cls)
        object.__setattr__(made, "rule", rule)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualified:
    """What the first satisfied qualifier keeps; with `by` None no qualifier was, and all variants stay."""

    variants: tuple[AssetVariant, ...]
    by: VariantQualifier | None
    because: str
    """For people: what was satisfied, and what was not before it."""
    rejected_because: str = ""
    """Why the others left."""


def qualify(variants: Sequence[AssetVariant], wanted: Iterable[str]) -> Qualified:
    """Ask the qualifiers (as texts) in order.

    Raises:
        UsageError: one of the texts is none of a qualifier.
    """
    failed: list[str] = []
    for qualifier in map(VariantQualifier.from_text, wanted):
        kept, rule = qualifier.matching(variants), qualifier.rule
        if kept:
            before = f", and no variant {' or '.join(failed)}" if failed else ""
            because, rejected = f"it {rule.kept}{before}", f"it {rule.rejected}"
            return Qualified(variants=kept, by=qualifier, because=because, rejected_because=rejected)
        failed.append(rule.kept)
    because = f"no variant {' or '.join(failed)}, so the choice is automatic" if failed else ""
    return Qualified(variants=tuple(variants), by=None, because=because)


def where_texts(wanted: Condition | VariantQualifier | Iterable[Condition | VariantQualifier]) -> tuple[str, ...]:
    """One or several qualifiers, predicates or expressions as the canonical texts that `Preferences.where` takes.

    Raises:
        UsageError: one of them is no expression.
    """
    if isinstance(wanted, str | Predicate | KeyPath | VariantQualifier):
        wanted = (wanted,)
    if not isinstance(wanted, Iterable):
        raise UsageError("a qualifier takes a predicate or an expression", hint="for example `hlsdl.height <= 720`")
    return tuple((one if isinstance(one, VariantQualifier) else VariantQualifier(one)).text for one in wanted)


def _predicate(condition: Condition) -> Predicate:
    """The predicate, proven to have a text that reads back to it."""
    if isinstance(condition, str):
        return parse_expression(condition)
    if not isinstance(condition, Predicate | KeyPath):
        raise UsageError("a qualifier takes a predicate or an expression", hint="for example `hlsdl.height <= 720`")
    try:
        predicate = condition.predicate() if isinstance(condition, KeyPath) else condition
        return parse_expression(str(predicate))
    except RecursionError:
        raise UsageError("the predicate is nested too deeply") from None


def _measure(key_path: KeyPath | str) -> str:
    name = key_path.name if isinstance(key_path, KeyPath) else key_path
    if name not in MEASURES:
        raise UsageError(f"there is no maximum or minimum of `{name}`", hint=f"there is one of: {', '.join(MEASURES)}")
    return name


def _digest(variant: Variant) -> str:
    """A short hash of what the playlist says of a variant, addresses left out."""
    said = (
        variant.bandwidth,
        variant.average_bandwidth,
        variant.codecs,
        variant.supplemental_codecs,
        variant.resolution,
        variant.frame_rate,
        variant.video_range,
        variant.video_layout,
        variant.audio,
        variant.subtitles,
        variant.video,
        variant.pathway,
        variant.name,
        variant.stable_id,
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
