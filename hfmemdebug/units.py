"""Sizes as people write and read them. All multiples are powers of 1024."""

from __future__ import annotations

import re

from hfmemdebug.errors import UsageError

_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgtp]?)(i?b)?\s*", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
# Kernels count bytes in 63 bits, and take sums of two sizes.
_MOST = 2.0**61
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def parse_size(text: str) -> int:
    """Reads ``64K``, ``1.5G``, ``512MiB`` or a bare number of bytes.

    Raises:
        UsageError: The text is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is not a size", next="Write 64K, 1.5G, 512MiB or a number of bytes.")
    number, prefix, _ = match.groups()
    size = float(number) * 1024.0 ** _POWER[prefix.lower()]
    if size > _MOST:
        raise UsageError(
            f"'{text}' is more than any machine has", next="Write 64K, 1.5G, 512MiB or a number of bytes."
        )
    return round(size)


def format_bytes(value: float | None, *, signed: bool = False) -> str:
    """A number of bytes in the largest unit that keeps it above one: ``1.5 GB``, ``64 B``.

    Args:
        value: Bytes; None, for what could not be read, gives ``–``.
        signed: Put a ``+`` before what is above zero, as for differences.
    """
    if value is None:
        return "–"
    size = abs(value)
    power = 0
    # 1023.95 and above would be rounded to "1024.0": the next unit reads better.
    while size >= 1023.95 and power < len(_UNITS) - 1:
        size /= 1024
        power += 1
    number = f"{size:.0f}" if power == 0 or size >= 99.95 else f"{size:.1f}"
    sign = "-" if value < 0 and number not in ("0", "0.0") else "+" if signed and value > 0 else ""
    return f"{sign}{number} {_UNITS[power]}"


def format_count(value: float | None, *, signed: bool = False) -> str:
    """A count with thousands separated: ``1,000,000``; None gives ``–``."""
    if value is None:
        return "–"
    return f"{value:+,.0f}" if signed and value else f"{value:,.0f}"


def format_seconds(value: float | None) -> str:
    """A duration: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``; None gives ``–``."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{int(value) // 3600} h {int(value) % 3600 // 60:02d} min"
