"""Is this bundle whole, true and closed? `verify_bundle` answers with a report.

`findings` are the words; `inventory` looks at the folder and hashes, `containers` and `packed_audio` look at one
object's bytes, `closure` and `streams` at playlists; `structure` holds everything against journal and manifest; `media`
lets ffmpeg decode it.
"""

from __future__ import annotations

from hlsdl.verification.findings import Code, Finding, Report, Severity
from hlsdl.verification.structure import verify_bundle

__all__ = ["Code", "Finding", "Report", "Severity", "verify_bundle"]
