"""Download tasks and the session that owns them: what an app holds in its hands.

`session` tells the story of one download; here a download has an identity, a state that survives the process, a
delegate, and neighbours it shares the machine with. Sources: AVAssetDownloadURLSession, URLSessionDownloadTask.
"""
