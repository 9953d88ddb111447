"""Tests of the transfer room; `doors` says which transports the conformance tests run against."""
