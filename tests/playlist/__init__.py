"""Tests of the playlist room."""
