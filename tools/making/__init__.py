"""The presentations that tests, demo and measurements run on: `tools/make_media` makes them."""
