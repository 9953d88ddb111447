"""Qualifiers in order: the first that is satisfied decides, none of them fails, and each has a text that it comes from."""

from __future__ import annotations

import pickle

import pytest
from ladders import cinema, master, stream_inf

import hlsdl
from hlsdl import VariantQualifier
from hlsdl.errors import UsageError
from hlsdl.planning.asset_variant import AssetVariant, asset_variants
from hlsdl.planning.predicates import Predicate
from hlsdl.planning.qualifiers import qualify, where_texts

CINEMA = asset_variants(master(cinema()))


def names(variants: tuple[AssetVariant, ...]) -> set[str]:
    return {one.variant.uri.rpartition("/")[2].removesuffix(".m3u8") for one in variants}


def kept(*qualifiers: VariantQualifier) -> set[str]:
    return names(qualify(CINEMA, [one.text for one in qualifiers]).variants)


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("peak_bit_rate < 1_000_000", {"sdr-360"}),
        ("average_bit_rate > 12_700_000", {"pq-2160", "dv-2160"}),
        ("width == 1280", {"sdr-720"}),
        ("height <= 720", {"sdr-360", "sdr-720"}),
        ("video_range == 'HLG'", {"hlg-1080"}),
        ("video_range in ['HLG', 'PQ'] and height == 1080", {"hlg-1080"}),
        ("'hvc1' in codecs", {"hlg-1080", "pq-2160"}),
        ("'av01' in codecs", {"av1-1080"}),
        ("'dvh1' in codecs", {"dv-2160"}),
        ("'avc1' in codecs and height == 1080", {"sdr-1080"}),
    ],
)
def test_expressions_keep_the_rows_of_the_ladder_that_satisfy_them(expression: str, left: set[str]) -> None:
    assert kept(VariantQualifier(expression)) == left


@pytest.mark.parametrize(
    ("expression", "groups"),
    [
        ("channels == 2", {"aac", "lossless"}),
        ("channels > 2", {"surround", "atmos"}),
        ("channels == 6", {"surround"}),
        ("channels >= 16", {"atmos"}),
        ("'alac' in codecs", {"lossless"}),
        ("'ec-3' in codecs", {"atmos"}),
        ("'fr' in language", {"aac", "surround"}),
        ("channels['en/English'] == 2", {"aac"}),
        ("sample_rate > 0", {"aac", "surround", "atmos", "lossless"}),
    ],
)
def test_expressions_of_sound_ask_the_audio_group(expression: str, groups: set[str]) -> None:
    """The last row: no group declares SAMPLE-RATE, so nothing satisfies it and all stay."""
    assert {one.variant.audio for one in qualify(CINEMA, [expression]).variants} == groups


def test_the_first_qualifier_that_is_satisfied_wins() -> None:
    none, some, more = (VariantQualifier(one) for one in ("height > 9000", "height == 720", "height == 360"))
    outcome = qualify(CINEMA, [none.text, some.text, more.text])
    assert names(outcome.variants) == {"sdr-720"}
    assert outcome.by == some
    assert outcome.because == "it satisfies `height == 720`, and no variant satisfies `height > 9000`"
    assert outcome.rejected_because == "it does not satisfy `height == 720`"


def test_when_none_is_satisfied_all_stay_and_the_reason_names_them() -> None:
    outcome = qualify(CINEMA, ["height > 9000", "sample_rate > 0"])
    assert outcome.variants == CINEMA
    assert outcome.by is None
    assert outcome.because == (
        "no variant satisfies `height > 9000` or satisfies `sample_rate > 0`, so the choice is automatic"
    )


def test_no_qualifiers_keep_everything_without_a_word() -> None:
    assert (qualify(CINEMA, []).variants, qualify(CINEMA, []).because) == (CINEMA, "")


@pytest.mark.parametrize(
    ("qualifier", "left"),
    [
        (VariantQualifier.maximum(hlsdl.peak_bit_rate), {"dv-2160"}),
        (VariantQualifier.minimum(hlsdl.peak_bit_rate), {"sdr-360"}),
        (VariantQualifier.maximum(hlsdl.average_bit_rate), {"dv-2160"}),
        (VariantQualifier.minimum(hlsdl.width), {"sdr-360"}),
        (VariantQualifier.maximum(hlsdl.height), {"pq-2160", "dv-2160"}),
        (VariantQualifier.maximum("presentation_size"), {"pq-2160", "dv-2160"}),
        (VariantQualifier.minimum("presentation_size"), {"sdr-360"}),
    ],
    ids=lambda value: value.text if isinstance(value, VariantQualifier) else "+".join(sorted(value)),
)
def test_maximum_and_minimum_keep_the_rows_with_the_extreme_value(qualifier: VariantQualifier, left: set[str]) -> None:
    assert kept(qualifier) == left


def test_an_extreme_of_what_nobody_declares_is_not_satisfied() -> None:
    rows = asset_variants(master("#EXTM3U\n" + stream_inf(1, "a.m3u8") + stream_inf(2, "b.m3u8")))
    assert VariantQualifier.maximum(hlsdl.average_bit_rate).matching(rows) == ()
    assert VariantQualifier.maximum("presentation_size").matching(rows) == ()
    assert len(VariantQualifier.maximum(hlsdl.peak_bit_rate).matching(rows)) == 1


@pytest.mark.parametrize("key_path", [hlsdl.frame_rate, hlsdl.codecs, "nothing"])
def test_other_attributes_have_no_extreme(key_path: object) -> None:
    with pytest.raises(UsageError, match="no maximum or minimum"):
        VariantQualifier.maximum(key_path)  # type: ignore[arg-type]


def test_an_explicit_variant_is_found_again_by_what_is_said_of_it() -> None:
    row = CINEMA[5]
    qualifier = VariantQualifier.of_variant(row)
    assert qualifier.is_explicit
    assert qualifier == VariantQualifier.of_variant(row.variant)
    assert qualifier.matching(CINEMA) == (row,)
    assert "m3u8" not in qualifier.text, "no address is stored"
    turned = asset_variants(master(cinema(), url="https://other.test/signed/master.m3u8?token=1"))[::-1]
    assert [one.index for one in qualifier.matching(turned)] == [5]
    assert qualifier.matching(CINEMA[:5]) == ()


def test_of_twins_the_one_at_its_place_is_meant() -> None:
    rows = asset_variants(master("#EXTM3U\n" + stream_inf(1, "left.m3u8") + stream_inf(1, "right.m3u8")))
    assert [VariantQualifier.of_variant(one).matching(rows)[0].index for one in rows] == [0, 1]


def test_a_stable_id_finds_a_variant_whose_numbers_were_measured_anew() -> None:
    text = "#EXTM3U\n" + stream_inf(1, "a.m3u8", STABLE_VARIANT_ID='"x:y"') + stream_inf(2, "b.m3u8")
    before, after = (asset_variants(master(one)) for one in (text, text.replace("BANDWIDTH=1,", "BANDWIDTH=9,")))
    qualifier = VariantQualifier.from_text(VariantQualifier.of_variant(before[0]).text)
    assert qualifier.matching(after) == (after[0],)
    assert VariantQualifier.of_variant(before[1]).matching(after) == (after[1],)


@pytest.mark.parametrize(
    "qualifier",
    [
        VariantQualifier(hlsdl.channels.of("en/English") > 2),
        VariantQualifier("width>1 or binaural"),
        VariantQualifier(hlsdl.binaural),
        VariantQualifier.of_variant(CINEMA[3]),
        VariantQualifier.maximum("presentation_size"),
        VariantQualifier.minimum(hlsdl.width),
    ],
    ids=repr,
)
def test_every_qualifier_comes_back_from_its_text(qualifier: VariantQualifier) -> None:
    assert VariantQualifier.from_text(qualifier.text) == qualifier
    assert pickle.loads(pickle.dumps(qualifier)) == qualifier
    assert hash(VariantQualifier.from_text(qualifier.text)) == hash(qualifier)


@pytest.mark.parametrize("text", ["=max:", "=max:codecs", "=min:peak_bit_rate ", "=variant:", "=variant:x:y", "=other:1", "="])  # fmt: skip
def test_a_text_of_no_qualifier_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        VariantQualifier.from_text(text)


@pytest.mark.parametrize("text", ["=max:peak_bit_rate", "=variant:0:abc:"])
def test_what_is_no_expression_cannot_be_typed(text: str) -> None:
    with pytest.raises(UsageError):
        where_texts(text)


def test_a_predicate_that_no_text_can_hold_is_refused_when_the_qualifier_is_made() -> None:
    longest = hlsdl.peak_bit_rate.is_in(range(100, 170))
    assert VariantQualifier(longest).text == str(longest)
    with pytest.raises(UsageError, match="more than 1000 characters"):
        VariantQualifier(hlsdl.peak_bit_rate.is_in(range(1000, 1200)))
    deep: Predicate = hlsdl.width > 1
    for _ in range(5000):
        deep = (deep | hlsdl.binaural) & (hlsdl.width > 2)
    with pytest.raises(UsageError):
        VariantQualifier(deep)
    with pytest.raises(UsageError, match="takes a predicate"):
        VariantQualifier(True)  # type: ignore[arg-type]


def test_where_takes_one_or_several_of_every_form_and_writes_them_the_same_way() -> None:
    assert where_texts("width>1") == where_texts(hlsdl.width > 1) == where_texts(["width  >  1"]) == ("width > 1",)
    several = [hlsdl.binaural, "width>1", VariantQualifier.maximum(hlsdl.width)]
    assert where_texts(several) == ("binaural", "width > 1", "=max:width")
