"""Durations, sizes and shares as people read them."""


def duration(seconds: float) -> str:
    """The two largest units: `3d4h`, `5m12s`, `7s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def size(count: int) -> str:
    """Decimal units, as docker shows them: `1.98MB`."""
    units = ["TB", "GB", "MB", "kB", "B"]
    amount = float(count)
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop()
    return f"{amount:.3g}{units[-1]}" if amount < 1000 else f"{amount:.0f}{units[-1]}"


def share(part: float) -> str:
    return f"{100 * part:.1f} %"
