"""The network: one job's requests, within the rules about where we may go, what we tell whom, and how patient we are.

`client.Client` is the door of this room, `options.TransferOptions` what a user can say, `sink.Sink` where bytes go.
Inside, deciders (`policy`, `addresses`, `urls`, `credentials`, `cookies`, `proxies`, `ranges`, `content`, `decoding`)
are pure; doers (`exchange`, `fetching`, `documents`, `patience`, `resolving`, `local_files`) obey them; `origin` is the
one module that knows an HTTP library. Import from the modules: this package itself loads nothing.
"""
