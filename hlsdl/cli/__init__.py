"""Talking to people and scripts: commands, flags, exit codes, progress and tables.

`app` is the door and the command tree; `downloads`, `shelf` and `doctor` hold the commands; `terminal` is the one
module that writes to stdout and stderr. What a flag means belongs to the rooms below.
"""
