"""The targets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import frames, grammars, heads, parameters

CORPUS = Path(__file__).parent / "corpus"

TARGETS: dict[str, Callable[[bytes], None]] = {
    "server": frames.server,
    "client": frames.client,
    "request": heads.request,
    "response": heads.response,
    "grammars": grammars.check,
    "parameters": parameters.check,
}


def corpus(name: str) -> list[Path]:
    """The inputs for a target that are kept."""
    return sorted((CORPUS / name).iterdir())
