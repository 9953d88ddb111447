"""Watch a bundle: a loopback server, a page that plays it, and the hand-over to other players."""

from __future__ import annotations

from hlsdl.player.handoff import PlayerName, find_player, installed_players, play
from hlsdl.player.server import Serving, serve

__all__ = ["PlayerName", "Serving", "find_player", "installed_players", "play", "serve"]
