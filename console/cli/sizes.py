"""Lengths of time, sizes and numbers of tokens in words for people. Pure."""

from console.cli.times import span

UNITS = ("B", "KiB", "MiB", "GiB")


def length(milliseconds: int) -> str:
    """Say how long something took: `120 ms`, `2.5 s`, `3 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else span(milliseconds)


def size(number: float) -> str:
    """Say how much something takes: `900 B`, `4.8 MiB`."""
    for unit in UNITS[:-1]:
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {UNITS[-1]}"


def tokens_in_short(number: int) -> str:
    """Say how many tokens there are: `950`, `12.3k`, `1.2M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.1f}M"
