"""Real packager output, kept whole: everything of every finished presentation, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from oracle import Origin, judge, local_playlists

from hlsdl.bundle.reading import Bundle
from hlsdl.errors import ContentKeyError, LiveStreamError
from hlsdl.planning.preferences import Preferences
from hlsdl.session import front
from hlsdl.session.configuration import FetchOptions
from hlsdl.testing import ScriptedOrigin
from hlsdl.verification.structure import verify_bundle

EVERYTHING = Preferences(variants="all", audio=("all",), subtitles=("all",), iframes=True)


def presentations(corpus: Path) -> list[Path]:
    return sorted(path.parent for path in (corpus / "presentations").glob("*/output.m3u8"))


def is_live(folder: Path) -> bool:
    texts = [path.read_text() for path in folder.rglob("*.m3u8") if "#EXTINF" in path.read_text()]
    return any("#EXT-X-ENDLIST" not in text and "#EXT-X-PLAYLIST-TYPE:VOD" not in text for text in texts)


def is_bound_to_drm(folder: Path) -> bool:
    """A media playlist whose keys are all of some key system."""
    for path in folder.rglob("*.m3u8"):
        formats = re.findall(r"#EXT-X-KEY:(?!METHOD=NONE)(.*)", path.read_text())
        if formats and not any('KEYFORMAT="identity"' in one or "KEYFORMAT=" not in one for one in formats):
            return True
    return False


async def test_every_finished_presentation_is_kept_byte_for_byte(corpus: Path, tmp_path: Path) -> None:
    """Every stored object equals the origin's bytes, every playlist closes, and no line is lost."""
    kept = 0
    for folder in presentations(corpus):
        if is_live(folder) or is_bound_to_drm(folder):
            continue
        with ScriptedOrigin() as origin:
            origin.add_folder(folder, at=f"/{folder.name}")
            options = FetchOptions(preferences=EVERYTHING, output=tmp_path / f"{folder.name}.movpkg")
            done = await front.fetch(origin.url(f"/{folder.name}/output.m3u8"), options)
            truth = Origin(folder, origin.url(f"/{folder.name}"))
        bundle = Bundle.open(done.bundle.path)
        assert bundle.is_playable_offline, folder.name
        by_path = {stream.playlist: stream for stream in bundle.manifest.streams}
        playlists = local_playlists(bundle.path)
        assert len(playlists) == len(by_path) == len(list(folder.rglob("*.m3u8"))) - 1, folder.name
        for playlist in playlists:
            stream = by_path[str(playlist.relative_to(bundle.path))]
            assert judge(bundle.path, playlist, stream.final_url, truth) > 0
        report = verify_bundle(bundle.path)
        assert report.ok, (folder.name, report.findings)
        kept += 1
    assert kept >= 40


async def test_live_and_drm_bound_presentations_are_refused_by_name(corpus: Path, tmp_path: Path) -> None:
    """A live one is a LiveStreamError; one that only a key system opens is a ContentKeyError, unless ciphertext is asked for."""
    refused = 0
    for folder in presentations(corpus):
        live, bound = is_live(folder), is_bound_to_drm(folder)
        if not (live or bound):
            continue
        with ScriptedOrigin() as origin:
            origin.add_folder(folder, at="/p")
            url = origin.url("/p/output.m3u8")
            options = FetchOptions(preferences=EVERYTHING, output=tmp_path / f"{folder.name}.movpkg")
            with pytest.raises((LiveStreamError, ContentKeyError)) as caught:
                await front.fetch(url, options)
            assert isinstance(caught.value, LiveStreamError if live else ContentKeyError), folder.name
            assert not options.output or not options.output.exists()
            if bound and not live:
                ciphertext = FetchOptions(preferences=EVERYTHING, output=options.output, keep_protected=True)
                done = await front.fetch(url, ciphertext)
                assert not done.bundle.is_playable_offline
        refused += 1
    assert refused >= 3
