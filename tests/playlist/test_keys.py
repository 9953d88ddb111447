"""Keys: one in force for each KEYFORMAT, read strictly where decryption depends on them."""

from __future__ import annotations

import pytest

from hlsdl.errors import PlaylistError
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.keys import KeysInForce, read_key
from hlsdl.playlist.lines import DEFAULT_LIMITS
from hlsdl.playlist.models import Key
from hlsdl.playlist.notes import Notes

BASE = Base("https://h/p/list.m3u8", DEFAULT_LIMITS)


def key(**attributes: str) -> Key | None:
    return read_key({name.upper(): value for name, value in attributes.items()}, "EXT-X-KEY", 3, BASE, Notes())


def test_a_key_is_read_with_its_url_and_its_iv_as_written() -> None:
    assert key(method="AES-128", uri="k?t=1", iv="0X0a") == Key(
        method="AES-128", uri="https://h/p/k?t=1", iv="0X0a", line=3
    )


def test_a_drm_key_is_kept_as_written() -> None:
    found = key(method="SAMPLE-AES", uri="skd://a b", iv="odd", keyformat="com.apple.x", keyformatversions="1/2")
    assert found == Key(
        method="SAMPLE-AES", uri="skd://a b", iv="odd", keyformat="com.apple.x", keyformat_versions="1/2", line=3
    )


def test_no_encryption_is_no_key() -> None:
    assert key(method="NONE") is None


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"uri": "k"}, id="no-method"),
        pytest.param({"method": "", "uri": "k"}, id="empty-method"),
        pytest.param({"method": "AES-128"}, id="no-uri"),
        pytest.param({"method": "AES-128", "uri": ""}, id="empty-uri"),
        pytest.param({"method": "AES-128", "uri": "k", "iv": "0xzz"}, id="iv-not-hexadecimal"),
        pytest.param({"method": "AES-128", "uri": "k", "iv": "12"}, id="iv-without-0x"),
        pytest.param({"method": "AES-128", "uri": "k", "iv": "0x" + "1" * 33}, id="iv-too-long"),
    ],
)
def test_an_identity_key_that_cannot_decrypt_is_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(PlaylistError) as caught:
        key(**attributes)
    assert caught.value.line == 4


def test_a_key_url_never_shows_in_a_repr() -> None:
    assert "secret" not in repr(key(method="AES-128", uri="k?token=secret"))


def put(*keys: Key | None) -> tuple[Key, ...]:
    in_force = KeysInForce()
    for one in keys:
        in_force.put(one)
    return in_force.keys


ONE, TWO = Key(method="AES-128", uri="1"), Key(method="AES-128", uri="2")
DRM = Key(method="SAMPLE-AES", uri="skd://1", keyformat="com.apple.streamingkeydelivery")


def test_a_key_replaces_only_the_one_of_its_own_format() -> None:
    assert put(ONE, DRM, TWO) == (TWO, DRM)


def test_method_none_ends_the_keys_of_all_formats() -> None:
    assert put(ONE, DRM, None) == ()
    assert put(ONE, DRM, None, TWO) == (TWO,)


def test_a_repeated_key_keeps_the_same_set() -> None:
    in_force = KeysInForce()
    in_force.put(ONE)
    before = in_force.keys
    in_force.put(Key(method="AES-128", uri="1", line=9))
    assert in_force.keys is before
