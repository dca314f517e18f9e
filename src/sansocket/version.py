"""The version of this package."""

from __future__ import annotations

__all__ = ["version"]

version = "0.1.0"
