"""Is this bundle whole, true and closed? `verify_bundle` answers with a report.

`findings` are the words, `containers` and `packed_audio` look at one object's bytes, `structure` at the whole bundle
against its journal, manifest and playlists, `media` lets ffmpeg decode it.
"""
