"""What the functions of all drivers do with their arguments."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["CLIENT_LIMITS", "SERVER_LIMITS", "take", "with_compression"]

LIMITS = (
    *("max_header_line", "max_headers", "max_head_size"),
    *("validate_utf8", "max_fragments", "max_inflated_size"),
)
# Arguments that the drivers hand on; the protocols have the defaults and say more.
SERVER_LIMITS = ("hosts", "max_request_line", *LIMITS)
CLIENT_LIMITS = ("max_status_line", "max_body", *LIMITS)


def take(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take those of these names that there are out of the options."""
    return {name: options.pop(name) for name in names if name in options}


def with_compression(
    extensions: Sequence[T] | None,
    compression: str | None,
    enable: Callable[[Sequence[T] | None], Sequence[T]],
) -> Sequence[T] | None:
    """Add permessage-deflate to the extensions, if that is wanted.

    Args:
        extensions: factories of the application.
        compression: ``"deflate"`` or ``None``.
        enable: adds the factory.

    Raises:
        ValueError: another compression is wanted.

    """
    if compression is None:
        return extensions
    if compression != "deflate":
        raise ValueError(f"compression must be 'deflate' or None, not {compression!r}")
    return enable(extensions)
