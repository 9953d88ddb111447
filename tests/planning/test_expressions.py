"""The text form of conditions: what is read, what is refused, and that text and predicate are one thing."""

from __future__ import annotations

import contextlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hlsdl
from hlsdl.errors import UsageError
from hlsdl.planning.expressions import DEEPEST_EXPRESSION, LONGEST_EXPRESSION, MOST_TERMS, parse_expression
from hlsdl.planning.predicates import ATTRIBUTES, LARGEST_NUMBER, Comparison, Kind, Predicate


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("peak_bit_rate < 5_000_000", hlsdl.peak_bit_rate < 5_000_000),
        ("average_bit_rate>=2e6", hlsdl.average_bit_rate >= 2_000_000),
        ("width == 1920", hlsdl.width == 1920),
        ("720 <= height", hlsdl.height >= 720),
        ("720 <= height <= 1080", (hlsdl.height >= 720) & (hlsdl.height <= 1080)),
        ("frame_rate > 29.97", hlsdl.frame_rate > 29.97),
        ("video_range == 'PQ'", hlsdl.video_range == "PQ"),
        ('video_range in ("PQ", "HLG")', hlsdl.video_range.is_in(["PQ", "HLG"])),
        ("height in {720, 1080}", hlsdl.height.is_in([720, 1080])),
        ("'hvc1' in codecs", hlsdl.codecs.contains("hvc1")),
        ("'hvc1' not in codecs", ~hlsdl.codecs.contains("hvc1")),
        ("height not in [720]", ~hlsdl.height.is_in([720])),
        ("score > -1.5", hlsdl.score > -1.5),
        ("score > +1", hlsdl.score > 1),
        ("stable_id != 'a'", hlsdl.stable_id != "a"),
        ("'CDN-A' == pathway", hlsdl.pathway == "CDN-A"),
        ("'CH-STEREO' in video_layout", hlsdl.video_layout.contains("CH-STEREO")),
        ("channels > 2", hlsdl.channels > 2),
        ("channels['en/English'] == 6", hlsdl.channels.of("en/English") == 6),
        ("6 <= channels['en/English']", hlsdl.channels.of("en/English") >= 6),
        ("sample_rate == 48000", hlsdl.sample_rate == 48_000),
        ("binaural", hlsdl.binaural.predicate()),
        ("not immersive", ~hlsdl.immersive),
        ("downmix == False", hlsdl.downmix == False),  # noqa: E712 - the operator is what is tested
        ("True == binaural['en/English']", hlsdl.binaural.of("en/English").predicate()),
        ("'fr' in language", hlsdl.language.contains("fr")),
        (
            "width > 1 and height > 2 or not (binaural or downmix)",
            ((hlsdl.width > 1) & (hlsdl.height > 2)) | ~(hlsdl.binaural | hlsdl.downmix),
        ),
        ("  ( width > 1 )\n", hlsdl.width > 1),
    ],
)
def test_an_expression_means_what_the_objects_mean(text: str, meant: Predicate) -> None:
    assert parse_expression(text) == meant
    assert parse_expression(str(meant)) == meant


def test_every_name_can_be_used() -> None:
    for name, attribute in ATTRIBUTES.items():
        value: object = {Kind.NUMBER: 1, Kind.FLAG: True}.get(attribute.kind, "x")
        assert isinstance(parse_expression(f"{name} == {value!r}"), Comparison)


HOSTILE = [
    "",
    " ",
    "width",
    "1 < 2",
    "'a'",
    "None",
    "width > height",
    "width > None",
    "width > 1j",
    "width > b'1'",
    "width > ...",
    "width > 1 + 1",
    "width > 2 ** 99999999",
    "width > -'a'",
    "width > --1",
    "~width",
    "width is 1",
    "width is not 1",
    "hight > 1",
    "_ > 1",
    "__import__('os').system('true')",
    "open('/etc/passwd')",
    "width > open('/etc/passwd')",
    "().__class__.__bases__[0]",
    "codecs.__class__ == 'x'",
    "width.real > 1",
    "codecs[0] == 'avc1'",
    "codecs['x'] == 'avc1'",
    "channels[width] > 1",
    "channels['a':'b'] > 1",
    "channels['a']['b'] > 1",
    "(channels > 1)['a']",
    "lambda: width > 1",
    "(lambda: 1)() > width",
    "[x for x in codecs]",
    "'a' in [x for x in codecs]",
    "any(x for x in codecs)",
    "{x: 1 for x in codecs}",
    "width > 1 if binaural else height > 1",
    "(x := width) > 1",
    "f'{width}' in codecs",
    "codecs == f'{width}'",
    "await width",
    "(yield)",
    "*codecs",
    "width in [*codecs]",
    "width in [[1]]",
    "width in []",
    "width in codecs",
    "codecs in 'avc1'",
    "'PQ' in video_range",
    "video_range > 'HLG'",
    "binaural > 0",
    "width > 'a'",
    "width == True",
    "width > 1e999",
    "width > 1000000000000001",
    "width > 1; height > 2",
    "width > 1\nheight > 2",
    "width = 1",
    "import os",
    "width >",
    "width > 1 and",
    "(width > 1",
    "width > 1)",
    "1and 2",
    "codecs == '\\d'",
    "width > 1 \x00",
    "width > '\ud800'",
    "\ud800",
    "=max:peak_bit_rate",
    "=variant:0:abc:",
    "(" * 400 + "width > 1" + ")" * 400,
    "not " * 240 + "binaural",
    "-" * 990 + "1 < width",
    "[" * 400 + "]" * 400,
    "9" * 900 + " < width",
    "width" + " > 1" * 200,
    "a" * 1000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:40]))
def test_everything_else_is_a_usage_error_with_advice(text: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(UsageError) as caught:
            parse_expression(text)
    assert caught.value.code == 2
    assert caught.value.hint
    assert len(caught.value.message) < 200
    assert told == []


def test_the_length_limit_is_exact() -> None:
    text = "width > 1"
    assert parse_expression(text.ljust(LONGEST_EXPRESSION)) == (hlsdl.width > 1)
    with pytest.raises(UsageError, match="more than 1000 characters"):
        parse_expression(text.ljust(LONGEST_EXPRESSION + 1))


def test_the_depth_limit_is_exact() -> None:
    deepest = "not " * (DEEPEST_EXPRESSION - 1) + "binaural"
    assert parse_expression(deepest) == ~hlsdl.binaural
    with pytest.raises(UsageError, match="more than 32 deep"):
        parse_expression("not " + deepest)


def test_the_limit_of_terms_is_exact() -> None:
    comparisons = " or ".join(["width>1"] * 66)  # three terms each, and one for all of them
    most = f"not ({comparisons})"
    assert MOST_TERMS == 66 * 3 + 2
    assert isinstance(parse_expression(most), Predicate)
    with pytest.raises(UsageError, match="more than 200 terms"):
        parse_expression("not " + most)


TEXTS = st.text(max_size=12)
NUMBERS = st.integers(-LARGEST_NUMBER, LARGEST_NUMBER) | st.floats(-1e15, 1e15)


def _values(kind: Kind) -> st.SearchStrategy[object]:
    return {Kind.NUMBER: NUMBERS, Kind.FLAG: st.booleans()}.get(kind, TEXTS)


@st.composite
def comparisons(draw: st.DrawFn) -> Predicate:
    name = draw(st.sampled_from(sorted(ATTRIBUTES)))
    attribute = ATTRIBUTES[name]
    orders = ["<", "<=", ">", ">="] if attribute.kind is Kind.NUMBER else []
    several = (["contains"] if attribute.many else []) + (["in"] if attribute.kind is not Kind.FLAG else [])
    operator = draw(st.sampled_from(["==", "!=", *orders, *several]))
    value = draw(_values(attribute.kind))
    if operator == "in":
        value = tuple(draw(st.lists(_values(attribute.kind), min_size=1, max_size=3)))
    option = draw(st.none() | TEXTS) if attribute.of_option else None
    return Comparison(name, operator, value, option)  # type: ignore[arg-type]


PREDICATES = st.recursive(
    comparisons(),
    lambda parts: st.one_of(
        st.tuples(parts, parts).map(lambda two: two[0] & two[1]),
        st.tuples(parts, parts).map(lambda two: two[0] | two[1]),
        parts.map(lambda one: ~one),
    ),
    max_leaves=8,
)


@given(PREDICATES)
def test_text_and_predicate_are_one_thing(predicate: Predicate) -> None:
    text = str(predicate)
    if len(text) <= LONGEST_EXPRESSION:
        again = parse_expression(text)
        assert again == predicate
        assert hash(again) == hash(predicate)
        assert str(again) == text


@given(st.text(alphabet=st.characters(), max_size=60) | st.lists(st.sampled_from([*ATTRIBUTES, *"()[]<>=!.,'1", " in ", " not ", " and "])).map("".join))  # fmt: skip
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_expression(text), Predicate)
