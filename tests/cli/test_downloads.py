"""fetch, plan, inspect and repair as a person and a script run them, against a server on a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands import LONGEST_RUN, clean_environment, hlsdl, hlsdl_process
from cli.conftest import MEDIA
from hlsdl.testing import Html, Redirect, ScriptedOrigin, Status

FILM = "/film/master.m3u8"
STREAM_KEYS = {
    "id", "kind", "playlist", "source", "bandwidth", "average_bandwidth", "resolution", "frame_rate", "codecs",
    "video_range", "language", "name", "group", "channels", "default", "forced", "characteristics", "encryption",
    "segments", "gaps", "duration",
}  # fmt: skip


def segments_asked(origin: ScriptedOrigin) -> list[str]:
    return [one.target for one in origin.requests if one.target.endswith((".m4s", ".ts", ".vtt"))]


def piped(text: str) -> int:
    """The end for reading of a pipe with `text` in it, which nobody writes into any more."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


class TestFetch:
    def test_stdout_is_the_path_of_the_bundle_and_nothing_else(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        ran = hlsdl_process("fetch", origin.url(FILM), home=tmp_path)
        assert (ran.code, ran.out) == (0, "A film.movpkg\n")
        assert (tmp_path / "A film.movpkg" / "index.m3u8").is_file()
        assert "A film: downloading to A film.movpkg" in ran.err
        assert "A film: done" in ran.err

    def test_the_same_command_again_has_nothing_to_do(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        hlsdl("fetch", origin.url(FILM), home=tmp_path)
        origin.clear_requests()
        again = hlsdl("fetch", origin.url(FILM), home=tmp_path)
        assert (again.code, again.out) == (0, "A film.movpkg\n")
        assert segments_asked(origin) == []

    def test_json_is_the_document_of_the_bundle_and_this_run(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        ran = hlsdl("fetch", origin.url(FILM), "--json", "-q", home=tmp_path)
        document = ran.document
        assert (ran.code, ran.err) == (0, "")
        assert document["schema"] == "hlsdl.bundle/1"
        assert (document["title"], document["state"], document["playable_offline"]) == ("A film", "complete", True)
        assert document["source"] == origin.url(FILM)
        assert document["fetched"]["segments"] == document["segments"] > 0
        assert document["fetched"]["reused_segments"] == 0
        for stream in document["streams"]:
            assert set(stream) >= STREAM_KEYS | {"bytes", "complete"}
        assert hlsdl("info", document["path"], "--json", home=tmp_path).document == {
            key: value for key, value in document.items() if key != "fetched"
        }

    def test_selection_flags_choose_what_is_stored(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        line = ["--max-size", "320x180", "--no-hdr", "--audio", "fr,de", "--subs", "none", "--no-multichannel"]
        streams = hlsdl("fetch", origin.url(FILM), "--json", *line, home=tmp_path).document["streams"]
        assert [(one["kind"], one["language"]) for one in streams] == [
            ("video", None),
            ("audio", "fr"),
            ("audio", "de"),
        ]
        assert (streams[0]["resolution"], streams[0]["video_range"]) == ([320, 180], "SDR")

    def test_output_names_the_bundle_and_belongs_to_one_source(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        named = tmp_path / "films" / "mine.movpkg"
        named.parent.mkdir()
        assert hlsdl("fetch", origin.url(FILM), "-o", named, home=tmp_path).out == f"{named}\n"
        other = hlsdl("fetch", origin.url("/muxed-ts/master.m3u8"), "-o", named, home=tmp_path)
        assert (other.code, other.out) == (2, "")
        assert "another source" in other.err

    def test_title_and_folder_name_the_bundle(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        ran = hlsdl("fetch", origin.url(FILM), "-P", "films", "--title", "A/B: c", home=tmp_path)
        path = Path(ran.out.rstrip("\n"))
        assert ran.code == 0
        assert path.parent == Path("films")
        assert (tmp_path / path / "manifest.json").is_file()

    def test_headers_go_to_the_origin_and_not_into_messages(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        (tmp_path / "headers.txt").write_text("X-Token: s3cret\n")
        ran = hlsdl("fetch", origin.url(FILM + "?key=s3cret"), "-H", "@headers.txt", "-A", "me/1", "-vv", home=tmp_path)
        assert ran.code == 0
        assert {one.headers.get("x-token") for one in origin.requests} == {"s3cret"}
        assert {one.headers.get("user-agent") for one in origin.requests} == {"me/1"}
        assert "s3cret" not in ran.err

    def test_progress_json_is_one_object_a_line(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        ran = hlsdl("fetch", origin.url(FILM), "--progress", "json", home=tmp_path)
        events = [json.loads(line) for line in ran.err.splitlines()]
        progress = [one for one in events if one["event"] == "progress"]
        assert set(progress[-1]) == {
            "event", "task", "completed_bytes", "total_bytes", "total_is_estimate", "fraction", "segments_done",
            "segments_total", "rate", "eta",
        }  # fmt: skip
        assert (progress[-1]["fraction"], progress[-1]["total_is_estimate"]) == (1.0, False)
        assert {"will-download-to", "will-download-variants", "did-finish-downloading-to"} <= {
            one["event"] for one in events
        }

    def test_a_playlist_file_of_this_machine_is_a_source(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        here = hlsdl("fetch", MEDIA / "film" / "master.m3u8", "-q", home=tmp_path)
        assert (here.code, here.out) == (0, "A film.movpkg\n")
        copy = tmp_path / "copy.m3u8"
        copy.write_bytes((MEDIA / "muxed-ts" / "master.m3u8").read_bytes())
        there = hlsdl("fetch", copy, "--base-url", origin.url("/muxed-ts/master.m3u8"), "-q", home=tmp_path)
        assert (there.code, there.out) == (0, "copy.movpkg\n")

    def test_headers_and_cookies_may_come_through_pipes_for_all_sources(
        self, origin: ScriptedOrigin, tmp_path: Path
    ) -> None:
        """As `hlsdl fetch -H @<(…) --cookies <(…)` gives them: they can be read once."""
        headers, cookies = piped("X-Token: a\n"), piped("127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\tb\n")
        both = (origin.url(FILM), origin.url("/muxed-ts/master.m3u8"))
        done = hlsdl("fetch", *both, "-H", f"@/dev/fd/{headers}", "--cookies", f"/dev/fd/{cookies}", home=tmp_path)
        for pipe in (headers, cookies):
            os.close(pipe)
        assert done.code == 0, done.err
        assert {(one.headers["x-token"], one.headers["cookie"]) for one in origin.requests} == {("a", "sid=b")}

    def test_a_playlist_saved_from_elsewhere_is_told_what_it_needs(self, tmp_path: Path) -> None:
        """Its parts are not here: that is no full disk."""
        for name in ("muxed-ts/master.m3u8", "muxed-ts/low/index.m3u8"):
            (tmp_path / "saved.m3u8").write_bytes((MEDIA / name).read_bytes())
            done = hlsdl("fetch", "saved.m3u8", "-q", home=tmp_path)
            assert done.code == 8
            assert "is not there" in done.err
            assert "hint: a playlist that was saved from elsewhere needs `--base-url`" in done.err

    def test_artwork_that_is_not_there_is_noticed_before_the_first_request(
        self, origin: ScriptedOrigin, tmp_path: Path
    ) -> None:
        ran = hlsdl("fetch", origin.url(FILM), "--artwork", "none.png", home=tmp_path)
        assert (ran.code, origin.requests, list(tmp_path.glob("*.movpkg"))) == (2, [], [])
        assert ran.err.startswith("error: `--artwork`: there is no file `none.png`")

    def test_quiet_says_nothing_when_all_is_well(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        assert hlsdl("fetch", origin.url(FILM), "-q", home=tmp_path).err == ""


class TestSeveralSources:
    def test_each_source_has_its_line_and_the_first_failure_its_code(
        self, origin: ScriptedOrigin, tmp_path: Path
    ) -> None:
        origin.add("/text.m3u8", b"this is no playlist")
        sources = "\n".join(
            [
                "# films",
                "",
                origin.url(FILM),
                origin.url("/none.m3u8"),
                origin.url("/text.m3u8"),
                origin.url("/odd/master.m3u8"),
            ]
        )
        ran = hlsdl_process("fetch", "--json", "-", home=tmp_path, stdin=sources)
        assert ran.code == 4
        assert [one["schema"] for one in ran.documents] == [
            "hlsdl.bundle/1", "hlsdl.error/1", "hlsdl.error/1", "hlsdl.bundle/1",
        ]  # fmt: skip
        assert [one["code"] for one in ran.documents[1:3]] == [4, 5]
        assert ran.documents[1]["source"] == origin.url("/none.m3u8")

    def test_without_json_the_good_ones_are_on_stdout(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        ran = hlsdl("fetch", origin.url("/none.m3u8"), origin.url(FILM), home=tmp_path)
        assert (ran.code, ran.out) == (4, "A film.movpkg\n")
        assert ran.err.startswith("error: ")


class TestPlan:
    def test_a_dry_run_is_a_plan_and_downloads_no_segment(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        dry = hlsdl("fetch", "--dry-run", "--json", origin.url(FILM), home=tmp_path)
        planned = hlsdl("plan", "--json", origin.url(FILM), home=tmp_path)
        assert (dry.code, dry.document) == (0, planned.document)
        assert planned.document["schema"] == "hlsdl.plan/1"
        assert {choice["what"] for choice in planned.document["choices"]} >= {"variant", "audio", "subtitles"}
        for stream in planned.document["streams"]:
            assert set(stream) >= STREAM_KEYS
        assert segments_asked(origin) == []
        assert not list(tmp_path.glob("*.movpkg"))

    def test_a_dry_run_says_what_the_same_command_would_do_to_the_bundle_that_is_there(
        self, origin: ScriptedOrigin, tmp_path: Path
    ) -> None:
        """Wishes add up, and what is stored is not fetched again."""
        assert hlsdl("fetch", origin.url(FILM), "--audio", "en", "-o", "f.movpkg", home=tmp_path).code == 0
        for wish in (("--audio", "de"), ("--audio", "en")):
            command = ("fetch", origin.url(FILM), *wish, "-o", "f.movpkg")
            planned = hlsdl(*command, "--dry-run", "--json", home=tmp_path).document
            table = hlsdl(*command, "--dry-run", home=tmp_path).out
            asked = len(segments_asked(origin))
            bundle = hlsdl(*command, "--json", home=tmp_path).document
            assert [one["id"] for one in planned["streams"]] == [one["id"] for one in bundle["streams"]]
            assert planned["segments"] - planned["stored_segments"] == len(segments_asked(origin)) - asked
            assert planned["bundle"] == bundle["path"]
            assert f"{planned['stored_segments']} of them are there" in table
        assert (
            hlsdl(
                "fetch", origin.url(FILM), "-o", "f.movpkg", "--dry-run", "--force", "--json", home=tmp_path
            ).document["bundle"]
            is None
        )

    def test_the_table_shows_every_choice_and_rejection(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        document = hlsdl("plan", "--json", origin.url(FILM), home=tmp_path).document
        table = hlsdl("plan", origin.url(FILM), home=tmp_path).out
        for choice in document["choices"]:
            assert choice["chosen"] in table
            assert choice["because"] in table
            for rejection in choice["rejected"]:
                assert rejection["label"] in table
                assert rejection["because"] in table


class TestInspect:
    def test_everything_that_is_offered_is_there(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        document = hlsdl("inspect", "--json", origin.url(FILM), home=tmp_path).document
        assert (document["schema"], document["kind"], document["live"]) == ("hlsdl.stream/1", "multivariant", False)
        assert (len(document["variants"]), len(document["renditions"]), len(document["iframes"])) == (12, 9, 2)
        assert document["duration"] > 0

    def test_the_table_names_them(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        table = hlsdl("inspect", origin.url(FILM), home=tmp_path).out
        for part in ("640x360", "PQ", "Français", "English (commentary)", "I-frames", "com.apple.hls.title"):
            assert part in table

    def test_keys_are_named(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        document = hlsdl("inspect", "--json", origin.url("/aes128/master.m3u8"), home=tmp_path).document
        assert document["keys"] == [{"method": "AES-128", "keyformat": "identity"}]


LIVE = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttps://a.example/1.ts\n"


class TestExitCodes:
    def refused(self, tmp_path: Path, *line: str) -> tuple[int, str]:
        ran = hlsdl(*line, "--json", home=tmp_path)
        assert ran.document["schema"] == "hlsdl.error/1"
        assert ran.document["code"] == ran.code
        assert ran.err.startswith("error: ")
        return ran.code, ran.document["kind"]

    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    def test_4_when_the_server_refuses(self, status: int, origin: ScriptedOrigin, tmp_path: Path) -> None:
        origin.always(FILM, Status(status))
        ran = hlsdl("fetch", origin.url(FILM), "--json", home=tmp_path)
        assert (ran.code, ran.document["http_status"], ran.document["resumable"]) == (4, status, False)

    def test_3_when_nobody_answers(self, tmp_path: Path) -> None:
        with ScriptedOrigin() as gone:
            url = gone.url(FILM)
        assert self.refused(tmp_path, "fetch", "-R", "0", url) == (3, "network")

    def test_5_when_it_is_no_playlist(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        origin.always(FILM, Html())
        assert self.refused(tmp_path, "inspect", origin.url(FILM)) == (5, "playlist")

    @pytest.mark.parametrize(
        "wish", [("--audio", "xh"), ("--codec", "av01"), ("--max-bitrate", "1k"), ("--variant", "99")]
    )
    def test_6_when_nothing_matches(self, wish: tuple[str, str], origin: ScriptedOrigin, tmp_path: Path) -> None:
        assert self.refused(tmp_path, "plan", *wish, origin.url(FILM)) == (6, "selection")

    def test_10_when_a_rule_forbids_it(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        origin.always(FILM, Redirect("http://169.254.169.254/latest/"))
        assert self.refused(tmp_path, "fetch", origin.url(FILM)) == (10, "policy")
        assert self.refused(tmp_path, "fetch", "--require-https", origin.url("/odd/master.m3u8")) == (10, "policy")

    def test_13_when_the_stream_is_live(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        origin.add("/live.m3u8", LIVE)
        assert self.refused(tmp_path, "fetch", origin.url("/live.m3u8")) == (13, "live")

    @pytest.mark.parametrize("command", ["info", "verify", "repair", "play"])
    def test_2_when_there_is_no_bundle(self, command: str, tmp_path: Path) -> None:
        assert self.refused(tmp_path, command, "nothing.movpkg") == (2, "usage")

    @pytest.mark.parametrize("source", ["nothing.m3u8", "ftp://a.example/x.m3u8", "http://", "http://[::1"])
    def test_2_when_a_source_makes_no_sense(self, source: str, tmp_path: Path) -> None:
        assert self.refused(tmp_path, "fetch", source) == (2, "usage")


class TestVerifyAndRepair:
    @pytest.fixture
    def bundle(self, origin: ScriptedOrigin, tmp_path: Path) -> Path:
        hlsdl("fetch", origin.url(FILM), "-q", home=tmp_path)
        return tmp_path / "A film.movpkg"

    def test_a_sound_bundle_is_0(self, bundle: Path, tmp_path: Path) -> None:
        ran = hlsdl("verify", bundle, home=tmp_path)
        assert ran.code == 0
        assert ran.out.startswith("sound: ")
        assert hlsdl("verify", bundle, "--json", home=tmp_path).document["ok"] is True

    def test_damage_is_8_and_repair_fetches_only_that(
        self, bundle: Path, origin: ScriptedOrigin, tmp_path: Path
    ) -> None:
        hurt = sorted(bundle.glob("0-*/*.m4s"))[1]
        hurt.chmod(0o600)
        hurt.write_bytes(hurt.read_bytes()[:-1])
        found = hlsdl("verify", bundle, "--json", home=tmp_path)
        assert (found.code, found.document["schema"], found.document["ok"]) == (8, "hlsdl.verify/1", False)
        assert f"{hurt.parent.name}/{hurt.name}" in {one["path"] for one in found.document["findings"]}
        table = hlsdl("verify", bundle, home=tmp_path)
        assert (table.code, hurt.name in table.out) == (8, True)
        origin.clear_requests()
        repaired = hlsdl("repair", bundle, "--json", home=tmp_path)
        assert (repaired.code, repaired.document["ok"]) == (0, True)
        assert len(segments_asked(origin)) == 1

    def test_info_is_a_table(self, bundle: Path, tmp_path: Path) -> None:
        table = hlsdl("info", bundle, home=tmp_path).out
        for part in ("A film", "complete", "video", "audio", "plays offline"):
            assert part in table


def test_a_new_bundle_is_fetched_without_what_only_other_jobs_need(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Nothing that reads strangers' documents, draws or serves is loaded: start-up is most of a short download."""
    pytest.importorskip("pycurl")  # without it httpx brings the bytes
    program = (
        "import sys\nfrom hlsdl.cli.app import main\ncode = main(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    line = ["fetch", origin.url("/film/master.m3u8"), "--progress", "none", "--max-size", "640x360", "-N", "4"]
    done = subprocess.run(
        [sys.executable, "-c", program, *line, "-o", str(tmp_path / "film.movpkg"), "--title", "Film"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        timeout=LONGEST_RUN,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    unneeded = {"pydantic", "pydantic_core", "pydantic_settings", "httpx", "rich", "cryptography", "starlette"}
    assert {name.split(".")[0] for name in done.stderr.split()}.isdisjoint(unneeded)
