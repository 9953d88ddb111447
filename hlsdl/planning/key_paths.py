"""Key paths: the attributes of a variant as objects that compare into predicates (`hlsdl.peak_bit_rate >= 2_000_000`).

`predicates` says what the comparisons mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from hlsdl.errors import UsageError
from hlsdl.planning.predicates import ATTRIBUTES, CONTAINS, IS_IN, NAMES_HINT, Comparison, Kind, Predicate, Value


class HasId(Protocol):
    """A media selection option, as far as key paths know it."""

    @property
    def id(self) -> str:
        """What names the option."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class KeyPath:
    """One attribute of a variant, such as `hlsdl.height`.

    `==`, `!=`, `<`, `<=`, `>`, `>=`, `contains` and `is_in` make a `Predicate`. Those that are true or false
    (`hlsdl.binaural`) are predicates' parts by themselves: `hlsdl.binaural & (hlsdl.channels == 2)`.

    Source: the key paths of AVAssetVariant; `of` is the mediaSelectionOption parameter of
    AVAssetVariantQualifier.predicate(forChannelCount:mediaSelectionOption:operatorType:) and its siblings.
    """

    name: str
    option: str | None = None
    """The id of one audio option; None stands for the best of the variant's audio group."""

    def __post_init__(self) -> None:
        attribute = ATTRIBUTES.get(self.name)
        if attribute is None:
            raise UsageError(f"there is no attribute `{self.name}` of a variant", hint=NAMES_HINT)
        if self.option is not None and not attribute.of_option:
            raise UsageError(f"`{self.name}` belongs to the variant, not to an audio option", hint=NAMES_HINT)

    def of(self, option: HasId | str) -> KeyPath:
        """The same attribute of one audio option (or of the option with this id).

        Raises:
            UsageError: the attribute is not one of audio.
        """
        return KeyPath(self.name, option if isinstance(option, str) else option.id)

    def contains(self, value: str) -> Predicate:
        """The condition that `value` is among the values; `hlsdl.codecs.contains("hvc1")` compares four characters."""
        return Comparison(self.name, CONTAINS, value, self.option)

    def is_in(self, values: Iterable[Value]) -> Predicate:
        """The condition that the attribute has one of `values`."""
        return Comparison(self.name, IS_IN, tuple(values), self.option)

    def predicate(self) -> Predicate:
        """The condition that the attribute is true, for those that are true or false.

        Raises:
            UsageError: it has values to compare with.
        """
        if ATTRIBUTES[self.name].kind is not Kind.FLAG:
            raise UsageError(f"`{self.name}` alone is no condition", hint=f"compare it: `{self.name} == …`")
        return Comparison(self.name, "==", True, self.option)

    def __eq__(self, other: object) -> Predicate:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Predicate:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Predicate:
        return self._compared("<", other)

    def __le__(self, other: object) -> Predicate:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Predicate:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Predicate:
        return self._compared(">=", other)

    def __and__(self, other: object) -> Predicate:
        return self.predicate() & _part(other)

    def __rand__(self, other: object) -> Predicate:
        return _part(other) & self.predicate()

    def __or__(self, other: object) -> Predicate:
        return self.predicate() | _part(other)

    def __ror__(self, other: object) -> Predicate:
        return _part(other) | self.predicate()

    def __invert__(self) -> Predicate:
        return ~self.predicate()

    def __hash__(self) -> int:
        return hash((self.name, self.option))

    def __contains__(self, value: object) -> bool:
        raise TypeError(f"`in` cannot make a predicate in Python: write `hlsdl.{self.name}.contains({value!r})`")

    def __bool__(self) -> bool:
        raise TypeError(f"`hlsdl.{self.name}` is neither true nor false by itself: combine with `&`, `|` and `~`")

    def __repr__(self) -> str:
        return f"hlsdl.{self.name}" if self.option is None else f"hlsdl.{self.name}.of({self.option!r})"

    def _compared(self, operator: str, value: object) -> Predicate:
        return Comparison(self.name, operator, value, self.option)  # type: ignore[arg-type]  # checked there


def _part(other: object) -> Predicate:
    if isinstance(other, KeyPath):
        return other.predicate()
    if isinstance(other, Predicate):
        return other
    raise TypeError(f"a predicate cannot be combined with {type(other).__name__}")


peak_bit_rate = KeyPath("peak_bit_rate")
"""Peak bits per second: BANDWIDTH."""
average_bit_rate = KeyPath("average_bit_rate")
"""Average bits per second: AVERAGE-BANDWIDTH."""
width = KeyPath("width")
"""Pixels: RESOLUTION."""
height = KeyPath("height")
"""Pixels: RESOLUTION."""
frame_rate = KeyPath("frame_rate")
"""Frames per second: FRAME-RATE."""
video_range = KeyPath("video_range")
"""`SDR` (also when undeclared), `HLG` or `PQ`: VIDEO-RANGE."""
codecs = KeyPath("codecs")
"""Several: CODECS and SUPPLEMENTAL-CODECS; `hvc1` stands for every `hvc1.…`."""
score = KeyPath("score")
"""SCORE: higher is better, in the packager's opinion."""
stable_id = KeyPath("stable_id")
"""STABLE-VARIANT-ID."""
pathway = KeyPath("pathway")
"""PATHWAY-ID, `.` when undeclared."""
video_layout = KeyPath("video_layout")
"""Several: the specifiers of REQ-VIDEO-LAYOUT; undeclared video is `CH-MONO` and `PROJ-RECT`."""
channels = KeyPath("channels")
"""Channels of the audio: the first parameter of CHANNELS."""
sample_rate = KeyPath("sample_rate")
"""Hertz: SAMPLE-RATE."""
binaural = KeyPath("binaural")
"""Whether CHANNELS says BINAURAL."""
immersive = KeyPath("immersive")
"""Whether CHANNELS says IMMERSIVE."""
downmix = KeyPath("downmix")
"""Whether CHANNELS says DOWNMIX."""
language = KeyPath("language")
"""Several: the languages of the variant's audio group, matched by BCP 47."""
