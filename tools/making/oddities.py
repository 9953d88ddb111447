"""The smaller presentations: muxed TS, byte ranges, AES-128, and what real playlists also hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

from making.encoding import FRAME_RATE, Options, aac, cut, picture, tone, x264
from making.reading import avc_codec, avc_codec_in_ts, entries, measure


def make_muxed_ts(options: Options, folder: Path) -> None:
    """H.264 and AAC muxed in MPEG-TS, two bit rates."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    rungs = (("low", options.sizes[0], options.video_kbps), ("high", options.sizes[-1], options.video_kbps * 2))
    for name, size, kbps in rungs:
        coded = [*picture(size, options.seconds), *tone(440, options.seconds), *x264(options, kbps), *aac()]
        playlist = cut(options, folder / name, "ts", coded, "-mpegts_flags", "+initial_discontinuity")
        rates, codec = measure(playlist), avc_codec_in_ts(folder / name / "0.ts")
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},"
            f'CODECS="{codec},mp4a.40.2",RESOLUTION={size},FRAME-RATE={FRAME_RATE}.000'
        )
        lines.append(f"{name}/index.m3u8")
    (folder / "master.m3u8").write_text("\n".join([*lines, ""]))


def make_byteranges(options: Options, folder: Path) -> None:
    """One fMP4 file per stream with byte ranges: every second offset is left out, so it continues the last."""
    coded = [*picture(options.sizes[0], options.seconds), *tone(440, options.seconds)]
    coded += [*x264(options, options.video_kbps), *aac()]
    playlist = cut(options, folder / "video", "m4s", coded, "-hls_flags", "+independent_segments+single_file",
                   "-hls_segment_filename", str(folder / "video" / "media.mp4"))  # fmt: skip
    out, ranges = [], 0
    for line in playlist.read_text().splitlines():
        if line.startswith("#EXT-X-BYTERANGE:"):
            ranges += 1
        implicit = line.startswith("#EXT-X-BYTERANGE:") and ranges % 2 == 0
        out.append(line.split("@")[0] if implicit else line)
    playlist.write_text("\n".join([*out, ""]))
    data = (folder / "video" / "media.mp4").read_bytes()
    codec = "avc1." + data[data.index(b"avcC") + 5 :][:3].hex().upper()
    size = len(data) * 8 // options.seconds
    (folder / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f'#EXT-X-STREAM-INF:BANDWIDTH={size * 2},AVERAGE-BANDWIDTH={size},CODECS="{codec},mp4a.40.2",'
        f"RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000\nvideo/index.m3u8\n"
    )


def make_aes128(options: Options, folder: Path) -> None:
    """MPEG-TS under AES-128: two keys, default IVs counted from MEDIA-SEQUENCE 7, and one explicit IV."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    coded = [*picture(options.sizes[0], options.seconds), *tone(440, options.seconds)]
    coded += [*x264(options, options.video_kbps), *aac()]
    playlist = cut(options, folder / "video", "ts", coded, "-start_number", "7")
    keys = {name: hashlib.sha256(f"hlsdl fixture key {name}".encode()).digest()[:16] for name in ("one", "two")}
    (folder / "keys").mkdir()
    for name, key in keys.items():
        (folder / "keys" / f"{name}.key").write_bytes(key)
    explicit = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    segments, codec = list(entries(playlist)), avc_codec_in_ts(folder / "video" / "7.ts")
    changes = {0: ("one", None), len(segments) // 3: ("two", None), len(segments) - 1: ("two", explicit)}
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{options.segment_seconds}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:7", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for index, (duration, uri, _span) in enumerate(segments):
        if index in changes:
            name, explicit_iv = changes[index]
            more = f",IV=0x{explicit_iv.hex()}" if explicit_iv else ""
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="../keys/{name}.key"{more}')
        iv = explicit_iv or (7 + index).to_bytes(16, "big")
        segment = folder / "video" / uri
        padder = PKCS7(128).padder()
        clear = padder.update(segment.read_bytes()) + padder.finalize()
        encryptor = Cipher(algorithms.AES(keys[name]), modes.CBC(iv)).encryptor()
        segment.write_bytes(encryptor.update(clear) + encryptor.finalize())
        lines += [f"#EXTINF:{duration:.6f},", uri]
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    rates = measure(playlist)
    (folder / "master.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},"
        f'CODECS="{codec},mp4a.40.2",RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000\nvideo/index.m3u8\n'
    )


def make_odd(options: Options, folder: Path) -> None:
    """What real playlists also hold: see the playlist itself."""
    step = options.segment_seconds
    parts = (("part1", options.sizes[0], "main", 0), ("part2", "256x144", "high", 3 * step))
    for name, size, profile, start in parts:
        coded = [*picture(size, 2 * step, start), *tone(440, 2 * step)]
        cut(options, folder / name, "m4s", [*coded, *x264(options, options.video_kbps, profile), *aac()])
    chapter = '#EXT-X-DATERANGE:ID="chapter-{}",CLASS="com.example.chapter",START-DATE="2024-02-29T23:59:58.123+05:30"'
    lines = [
        "#EXTM3U", "#EXT-X-VERSION:8", '#EXT-X-DEFINE:NAME="folder",VALUE="part"', '#EXT-X-DEFINE:IMPORT="suffix"',
        f"#EXT-X-TARGETDURATION:{step}", "#EXT-X-MEDIA-SEQUENCE:100", "#EXT-X-DISCONTINUITY-SEQUENCE:3",
        "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-START:TIME-OFFSET=0.0,PRECISE=NO", "",
        "# a comment that holds an address nobody fetches: https://example.com/comment",
        '#EXT-X-VENDOR-MARK:ID="a,b",NOTE="https://example.com/kept as text",FLAG',
        "#EXT-X-PROGRAM-DATE-TIME:2024-02-29T23:59:58.123456789+0530",
        f'{chapter.format(1)},DURATION={step}.0,CUE="ONCE",X-TITLE="Chapter one, with a comma"',
        '#EXT-X-MAP:URI="{$folder}1/init.mp4"',
        f'#EXTINF:{step}.000000,a title, with commas, "quotes" and ünïcode', "{$folder}1/0{$suffix}",
        f"#EXTINF:{step}.00000000000000000000,a line separator \u2028 inside", "{$folder}1/1{$suffix}",
        "#EXT-X-GAP", f"#EXTINF:{step},", "{$folder}1/2{$suffix}",
        "#EXT-X-DISCONTINUITY", f"#EXT-X-CUE-OUT:{step}", '#EXT-X-MAP:URI="{$folder}2/init.mp4"',
        f"#EXTINF:{step}.0 ,", "{$folder}2/0{$suffix}", "#EXT-X-CUE-IN", "#EXT-X-BITRATE:90",
        f"#EXTINF:{step}.000,", "#EXT-X-VENDOR-BETWEEN:yes", "{$folder}2/1{$suffix}",
        chapter.format(2),
        "#EXT-X-ENDLIST", "",
    ]  # fmt: skip
    (folder / "index.m3u8").write_bytes("\r\n".join(lines).encode())
    query = [
        "#EXTM3U", "#EXT-X-VERSION:11", '#EXT-X-DEFINE:QUERYPARAM="token"', f"#EXT-X-TARGETDURATION:{step}",
        "#EXT-X-PLAYLIST-TYPE:VOD", '#EXT-X-MAP:URI="part1/init.mp4?token={$token}"',
        f"#EXTINF:{step},", "part1/0.m4s?token={$token}", "#EXT-X-ENDLIST", "",
    ]  # fmt: skip
    (folder / "query.m3u8").write_text("\n".join(query))
    codecs = [avc_codec(folder / name / "init.mp4") for name, *_ in parts]
    rates = [measure(folder / name / "index.m3u8") for name, *_ in parts]
    for name, *_ in parts:
        (folder / name / "index.m3u8").unlink()
    variant = (
        f"#EXT-X-STREAM-INF:BANDWIDTH={max(rate.peak for rate in rates)},"
        f'CODECS="{codecs[0]},{codecs[1]},mp4a.40.2",RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000,'
        'X-VENDOR="kept"'
    )
    master = ["#EXTM3U", "#EXT-X-VERSION:8", '#EXT-X-DEFINE:NAME="suffix",VALUE=".m4s"', variant, "index.m3u8", ""]
    (folder / "master.m3u8").write_bytes("\r\n".join(master).encode())
