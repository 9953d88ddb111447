"""The version of this program; `pyproject.toml` reads it from here, and bundles remember who wrote them."""

__version__ = "0.1.0"
