"""Tests of the scripted origin."""
