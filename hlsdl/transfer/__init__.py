"""The network: one job's requests, within the rules about where we may go, what we tell whom, and how patient we are.

`client.Client` is the door of this room, `options.TransferOptions` what a user can say, `sink.Sink` where bytes go.
Inside, deciders (`policy`, `ranges`, `content`, `decoding`, `concurrency`, `joining`) are pure; doers (`exchange`,
`fetching`, `parts`, `lane`, `documents`, `patience`, `resolving`, `local_files`) obey them, and the rules of `access`.
What knows an HTTP library is behind `doors`: `curl*` has libcurl, `origin` httpx. Import from the modules: this package
itself loads nothing.
"""
