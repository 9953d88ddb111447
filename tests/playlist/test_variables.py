"""EXT-X-DEFINE: values go where references stand, and nothing undefined is ever guessed."""

from __future__ import annotations

import pytest

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist.lines import DEFAULT_LIMITS, PlaylistLimits, PlaylistText
from hlsdl.playlist.notes import Notes
from hlsdl.playlist.variables import substitute


def run(
    *lines: str,
    url: str = "https://h/p?token=a%2Bb%20c&empty=&x",
    imported: dict[str, str] | None = None,
    limits: PlaylistLimits = DEFAULT_LIMITS,
) -> tuple[tuple[str, ...], dict[str, str]]:
    text = PlaylistText(("#EXTM3U\n", *(f"{line}\n" for line in lines)))
    found, variables = substitute(text, requested_url=url, imported=imported, limits=limits, notes=Notes())
    return tuple(line[:-1] for line in found.lines[1:]), variables


DEFINE = '#EXT-X-DEFINE:NAME="v",VALUE="1"'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("{$v}/a{$v}.ts?{$v}", "1/a1.ts?1", id="uri-line"),
        pytest.param('#EXT-X-MAP:URI="{$v}.mp4",X={$v}', '#EXT-X-MAP:URI="1.mp4",X=1', id="attributes"),
        pytest.param(
            '#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x{$v}', '#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x1', id="iv"
        ),
        pytest.param('#EXT-X-VENDOR:URI="{$v}{$other}"', '#EXT-X-VENDOR:URI="1{$other}"', id="unknown-tag"),
        pytest.param("#EXTINF:4,{$v}{$other}", "#EXTINF:4,{$v}{$other}", id="titles-stay"),
        pytest.param("# {$v}{$other}", "# {$v}{$other}", id="comments-stay"),
        pytest.param("a{$}b{v}$v.ts", "a{$}b{v}$v.ts", id="no-references"),
    ],
)
def test_references_are_replaced_in_uris_and_attribute_values(line: str, expected: str) -> None:
    assert run(DEFINE, line)[0] == (DEFINE, expected)


def test_every_kind_of_definition_gives_its_value() -> None:
    _, variables = run(
        DEFINE, '#EXT-X-DEFINE:NAME="w",VALUE="{$v}2"', '#EXT-X-DEFINE:IMPORT="i"', '#EXT-X-DEFINE:QUERYPARAM="token"',
        '#EXT-X-DEFINE:NAME="empty",VALUE=""', imported={"i": "3", "j": "4"},
    )  # fmt: skip
    assert variables == {"v": "1", "w": "12", "i": "3", "token": "a+b c", "empty": ""}


def test_values_are_not_searched_again() -> None:
    assert run('#EXT-X-DEFINE:QUERYPARAM="a"', "{$a}", url="https://h/?a={$a}")[0][1] == "{$a}"


def test_a_playlist_without_variables_stays_the_same_object() -> None:
    text = PlaylistText(("#EXTM3U\n",))
    assert substitute(text, requested_url="", imported=None, limits=PlaylistLimits(), notes=Notes()) == (text, {})


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        pytest.param(["{$v}.ts"], 2, id="undefined-in-a-uri"),
        pytest.param(['#EXT-X-MAP:URI="{$v}"'], 2, id="undefined-in-an-attribute"),
        pytest.param(["{$v}.ts", DEFINE], 2, id="defined-later"),
        pytest.param([DEFINE, DEFINE], 3, id="defined-twice"),
        pytest.param(['#EXT-X-DEFINE:NAME="v"'], 2, id="no-value"),
        pytest.param(['#EXT-X-DEFINE:VALUE="v"'], 2, id="no-name"),
        pytest.param(['#EXT-X-DEFINE:NAME="v",VALUE="1",IMPORT="v"'], 2, id="two-kinds"),
        pytest.param(['#EXT-X-DEFINE:NAME="v w",VALUE="1"'], 2, id="not-a-name"),
        pytest.param(['#EXT-X-DEFINE:IMPORT="other"'], 2, id="not-imported"),
        pytest.param(['#EXT-X-DEFINE:QUERYPARAM="other"'], 2, id="not-in-the-query"),
        pytest.param(['#EXT-X-DEFINE:QUERYPARAM="empty"'], 2, id="empty-in-the-query"),
        pytest.param(['#EXT-X-DEFINE:QUERYPARAM="x"'], 2, id="no-value-in-the-query"),
        pytest.param(["#EXT-X-DEFINE"], 2, id="nothing"),
    ],
)
def test_wrong_definitions_and_references_are_refused_with_their_line(lines: list[str], line: int) -> None:
    with pytest.raises(PlaylistError) as caught:
        run(*lines, imported={"i": "3"})
    assert caught.value.line == line


@pytest.mark.parametrize("value", ["a%0Ab", "%00", "a%22,URI=%22http://evil", "%E2%80%A8", "%C2%85"])
def test_a_query_value_cannot_add_lines_or_attributes(value: str) -> None:
    with pytest.raises(PlaylistError) as caught:
        run('#EXT-X-DEFINE:QUERYPARAM="q"', url=f"https://h/p?q={value}")
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "%20", "%23EXT-X-ENDLIST"])
def test_a_uri_line_stays_a_uri_line(value: str) -> None:
    definition = '#EXT-X-DEFINE:QUERYPARAM="q"' if value else '#EXT-X-DEFINE:NAME="q",VALUE=""'
    with pytest.raises(PlaylistError, match="line 3: a URI line is none any more"):
        run(definition, "{$q}", url=f"https://h/p?q={value}")


def test_values_never_appear_in_messages() -> None:
    with pytest.raises(PlaylistError) as caught:
        run('#EXT-X-DEFINE:QUERYPARAM="token"', '#EXT-X-DEFINE:QUERYPARAM="token"', url="https://h/?token=secret")
    assert "secret" not in str(caught.value)


def test_substitution_cannot_grow_a_line_or_a_playlist_past_its_limit() -> None:
    define = f'#EXT-X-DEFINE:NAME="v",VALUE="{"x" * 100}"'
    uri = "{$v}" * 10
    assert len(run(define, uri, limits=PlaylistLimits(max_line=1000))[0][1]) == 1000
    with pytest.raises(LimitError, match=r"line 3: .*`max_line`"):
        run(define, uri, limits=PlaylistLimits(max_line=999))
    with pytest.raises(LimitError, match=r"line 3: .*`max_data_line`"):
        run(define, uri, limits=PlaylistLimits(max_data_line=999))
    size = 8 + len(define) + 1 + 2 * 1001
    assert len(run(define, uri, uri, limits=PlaylistLimits(max_bytes=size))[0]) == 3
    with pytest.raises(LimitError, match=r"line 4: .*`max_bytes`"):
        run(define, uri, uri, limits=PlaylistLimits(max_bytes=size - 1))
