"""What a condition means: declared and undeclared values, one and several, joined and turned round."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

import pytest

import hlsdl
from hlsdl.errors import UsageError
from hlsdl.planning.predicates import ATTRIBUTES, Comparison, Kind, Predicate, Value, Values


@dataclass(frozen=True)
class Row:
    """A subject that declares what the test says."""

    declared: dict[str, Value | Values] = field(default_factory=dict)
    options: dict[tuple[str, str], Value] = field(default_factory=dict)

    def attribute(self, name: str, option: str | None = None) -> Value | Values | None:
        return self.declared.get(name) if option is None else self.options.get((name, option))


def holds(predicate: Predicate, **declared: Value | Values) -> bool:
    return predicate.matches(Row(declared))


@pytest.mark.parametrize(
    ("predicate", "below", "equal", "above"),
    [
        (hlsdl.height < 720, True, False, False),
        (hlsdl.height <= 720, True, True, False),
        (hlsdl.height > 720, False, False, True),
        (hlsdl.height >= 720, False, True, True),
        (hlsdl.height == 720, False, True, False),
        (hlsdl.height != 720, True, False, True),
    ],
    ids=str,
)
def test_the_six_operators_mean_what_they_look_like(
    predicate: Predicate, below: bool, equal: bool, above: bool
) -> None:
    assert [holds(predicate, height=value) for value in (719, 720, 721)] == [below, equal, above]


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
def test_a_comparison_with_what_is_not_declared_is_false_and_only_not_turns_that_round(operator: str) -> None:
    predicate = Comparison("average_bit_rate", operator, 5)
    assert not predicate.matches(Row())
    assert (~predicate).matches(Row())


def test_one_of_several_values_is_enough_and_unequal_means_none_is_equal() -> None:
    codecs = ("hvc1.2.4.L123.B0", "mp4a.40.2")
    assert holds(hlsdl.codecs == "hvc1", codecs=codecs)
    assert holds(hlsdl.codecs != "avc1", codecs=codecs)
    assert not holds(hlsdl.codecs != "mp4a", codecs=codecs)
    assert not holds(hlsdl.codecs != "avc1", codecs=())
    assert holds(hlsdl.codecs.is_in(["avc1", "hvc1"]), codecs=codecs)
    assert not holds(hlsdl.codecs.is_in(["avc1", "av01"]), codecs=codecs)


@pytest.mark.parametrize(
    ("wanted", "is_there"),
    [
        ("hvc1", True),
        ("HVC1", True),
        ("hvc1.2.4.L123.B0", True),
        ("hvc1.2.4.L120.B0", False),
        ("hvc", False),
        ("mp4a.40.2", True),
        ("mp4a.40.5", False),
        ("avc1", False),
    ],
)
def test_codecs_compare_four_characters_and_the_whole_when_a_dot_is_written(wanted: str, is_there: bool) -> None:
    assert holds(hlsdl.codecs.contains(wanted), codecs=("hvc1.2.4.L123.B0", "mp4a.40.2")) is is_there


def test_languages_match_by_bcp_47_and_ranges_without_regard_to_capitals() -> None:
    assert holds(hlsdl.language.contains("en"), language=("fr", "en-US"))
    assert not holds(hlsdl.language == "fr-CA", language=("fr-FR",))
    assert holds(hlsdl.video_range == "pq", video_range="PQ")
    assert not holds(hlsdl.stable_id == "A", stable_id="a")


def test_and_or_and_not_join_conditions() -> None:
    small, sharp = hlsdl.width < 1000, hlsdl.video_range == "PQ"
    values: dict[str, Value | Values] = {"width": 640, "video_range": "SDR"}
    assert not holds(small & sharp, **values)
    assert holds(small | sharp, **values)
    assert holds(small & ~sharp, **values)
    assert holds(~(small & sharp), **values)


def test_what_is_true_or_false_is_a_condition_by_itself() -> None:
    assert holds(hlsdl.binaural & (hlsdl.channels == 2), binaural=True, channels=2)
    assert holds(~hlsdl.binaural, binaural=False)
    assert holds((hlsdl.channels > 2) | hlsdl.immersive, channels=2, immersive=True)
    assert holds(hlsdl.downmix == False, downmix=False)  # noqa: E712 - the operator is what is tested
    assert (hlsdl.binaural & hlsdl.downmix) == (hlsdl.binaural == True) & hlsdl.downmix  # noqa: E712
    with pytest.raises(UsageError, match="`width` alone"):
        _ = hlsdl.width & hlsdl.binaural


def test_attributes_of_sound_can_be_asked_of_one_option() -> None:
    predicate = hlsdl.channels.of("en/English") >= 6
    assert predicate.matches(Row({"channels": 2}, {("channels", "en/English"): 6}))
    assert not predicate.matches(Row({"channels": 6}))
    assert str(predicate) == "channels['en/English'] >= 6"
    with pytest.raises(UsageError, match="`width` belongs to the variant"):
        hlsdl.width.of("en/English")


def test_python_s_own_and_or_not_in_and_chains_are_refused_with_advice() -> None:
    with pytest.raises(TypeError, match="`&`"):
        _ = (hlsdl.width > 1) and (hlsdl.width < 5)
    with pytest.raises(TypeError, match="`~`"):
        _ = not (hlsdl.width > 1)
    with pytest.raises(TypeError, match=r"\(a <= x\) & \(x <= b\)"):
        _ = 1 < hlsdl.width < 5
    with pytest.raises(TypeError, match="contains"):
        _ = "hvc1" in hlsdl.codecs
    with pytest.raises(TypeError, match="`&`"):
        _ = hlsdl.binaural or hlsdl.downmix
    with pytest.raises(TypeError):
        _ = (hlsdl.width > 1) & True
    with pytest.raises(TypeError):
        _ = hlsdl.binaural & 1


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("hight", "==", 1),
        ("height", "==", "720"),
        ("height", "==", True),
        ("height", "~", 1),
        ("height", "contains", 1),
        ("height", "in", ()),
        ("height", "in", (1, "2")),
        ("height", "<", float("nan")),
        ("height", "<", float("inf")),
        ("height", "<", 10**15 + 1),
        ("video_range", "<", "PQ"),
        ("video_range", "contains", "PQ"),
        ("video_range", "==", 1),
        ("codecs", ">=", "avc1"),
        ("binaural", "==", 1),
        ("binaural", "in", (True,)),
        ("language", "==", None),
    ],
)
def test_what_cannot_be_compared_is_a_usage_error_with_advice(name: str, operator: str, value: Value | Values) -> None:
    with pytest.raises(UsageError) as caught:
        Comparison(name, operator, value)
    assert caught.value.code == 2
    assert caught.value.hint


def test_the_largest_number_is_allowed() -> None:
    assert Comparison("peak_bit_rate", "<", 10**15).value == 10**15


def test_predicates_are_values() -> None:
    one, same = (hlsdl.width > 1) & hlsdl.binaural, (hlsdl.width > 1) & hlsdl.binaural
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    assert one != (hlsdl.width > 2) & hlsdl.binaural
    assert ((hlsdl.width > 1) & (hlsdl.width < 9)) & hlsdl.binaural == (hlsdl.width > 1) & (
        (hlsdl.width < 9) & hlsdl.binaural
    )
    assert ~~one == one


def test_key_paths_are_values_too() -> None:
    path = hlsdl.channels.of("en/English")
    again = pickle.loads(pickle.dumps(path))
    assert (again.name, again.option) == (path.name, path.option)
    assert hash(again) == hash(path)
    assert (repr(hlsdl.width), repr(path)) == ("hlsdl.width", "hlsdl.channels.of('en/English')")


def test_every_attribute_is_a_public_name() -> None:
    assert [getattr(hlsdl, name).name for name in ATTRIBUTES] == list(ATTRIBUTES)
    assert set(ATTRIBUTES) <= set(hlsdl.__all__)
    assert {attribute.kind for attribute in ATTRIBUTES.values()} == set(Kind)
