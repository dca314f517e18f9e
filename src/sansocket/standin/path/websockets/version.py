"""The version of ``websockets`` whose names and behavior are mirrored."""

from __future__ import annotations

__all__ = ["commit", "tag", "version"]

tag = version = commit = "17.4"
