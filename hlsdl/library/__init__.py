"""What a user's machine remembers between runs: the tasks of sessions, and which bundles there are.

`database` is the one door to SQLite; `tasks` and `bundles` are what is written there, `places` says in which folder,
and `retention` decides which bundles go when room is needed. Deleting is left to `session.storage`.
"""
