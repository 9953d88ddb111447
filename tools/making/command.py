"""Make the small HLS presentations that the tests, the demo and the measurements run on.

    tools/make_media fixtures/media                        # what is kept in the repository
    tools/make_media /tmp/big --only film --seconds 600 --sizes 1280x720,1920x1080 --video-kbps 2500 --fast

ffmpeg encodes and cuts; this script writes what ffmpeg cannot: multivariant playlists with measured bit rates,
subtitles, I-frame playlists, encryption, and the oddities of real playlists. Everything is generated (test
pictures with a burnt-in clock and frame counter, sine tones), so nothing here has an owner but the project.
The same ffmpeg version gives the same bytes again.

Needs ffmpeg with libx264 and libx265 (found on PATH or named by --ffmpeg), and `cryptography` for `aes128`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from making.encoding import Options
from making.film import make_film
from making.oddities import make_aes128, make_byteranges, make_muxed_ts, make_odd

PRESENTATIONS = {
    # name: (maker, seconds, seconds per segment) of the repository's own fixtures
    "film": (make_film, 10, 2),
    "muxed-ts": (make_muxed_ts, 6, 2),
    "byteranges": (make_byteranges, 6, 1),
    "aes128": (make_aes128, 6, 1),
    "odd": (make_odd, 6, 2),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, help="folder that gets one folder per presentation")
    parser.add_argument("--only", nargs="+", choices=PRESENTATIONS, default=list(PRESENTATIONS))
    parser.add_argument("--seconds", type=int, help="duration (not of `odd`, whose playlist is fixed)")
    parser.add_argument("--segment-seconds", type=int)
    parser.add_argument("--sizes", default="320x180,640x360", help="WxH,WxH… from small to large")
    parser.add_argument("--video-kbps", type=int, default=50, help="of the smallest; the nth size gets n times as much")
    parser.add_argument("--fast", action="store_true", help="quick presets on all cores, for big ones")
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    given = parser.parse_args()
    if not given.ffmpeg:
        raise SystemExit("no ffmpeg on PATH; name one with --ffmpeg")
    for name in given.only:
        maker, seconds, segment_seconds = PRESENTATIONS[name]
        options = Options(
            ffmpeg=given.ffmpeg,
            seconds=given.seconds or seconds,
            segment_seconds=given.segment_seconds or segment_seconds,
            sizes=tuple(given.sizes.split(",")),
            video_kbps=given.video_kbps,
            fast=given.fast,
        )
        folder = given.out / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        maker(options, folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        print(f"{folder}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes")
    return 0
