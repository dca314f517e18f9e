"""The time in the format of HTTP (RFC 9110, section 5.6.7)."""

from __future__ import annotations

from .. import environment

__all__ = ["http_date"]

_DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_date = (-1, "")  # a second and its text; replaced as one, so threads can share it


def http_date() -> str:
    """Return the time of ``environment.wall_clock``, in the format of HTTP."""
    global _date
    now = int(environment.wall_clock())
    second, text = _date
    if second != now:
        text = _format_date(now)
        _date = (now, text)
    return text


def _format_date(now: int) -> str:
    days, seconds = divmod(now, 86400)
    hour, seconds = divmod(seconds, 3600)
    minute, seconds = divmod(seconds, 60)
    # Years begin on March 1, in eras of 400 years, so that a leap day comes last.
    era, day = divmod(days + 719468, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += 400 * era + month // 10
    return (
        f"{_DAYS[days % 7]}, {day + 1:02d} {_MONTHS[(month + 2) % 12]} {year:04d} "
        f"{hour:02d}:{minute:02d}:{seconds:02d} GMT"
    )
