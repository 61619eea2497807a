"""The report of a survey: Markdown that a person can use, short enough for one mail."""

from dataclasses import dataclass

from harness.scripted.survey.facts import Count, Facts, add_up
from harness.scripted.survey.listing import LARGEST_FILE_BYTES, Listing

LINES_EACH = 15
"""A longer list is cut in the mail; the full report lies in a file."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker found."""

    worker: str
    files: int
    facts: Facts


def write_report(folder: str, listing: Listing, parts: list[Part], *, lines_each: int = LINES_EACH) -> str:
    """Write the report; `lines_each` bounds every list in it."""
    whole = add_up(part.facts for part in parts)
    sections = [
        _head(folder, listing, parts, whole),
        _languages(whole),
        _table("Longest files", "Lines", "File", whole.longest_files),
        _table("Longest Python functions", "Lines", "Function", whole.longest_functions),
        _list(
            f"Left to do: {_many(len(whole.marks), 'place')}",
            [_mark(mark) for mark in whole.marks],
            lines_each,
        ),
        _oddities(listing, whole, lines_each),
        _who(parts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(folder: str, listing: Listing, parts: list[Part], whole: Facts) -> str:
    total = _total(whole)
    return "\n".join(
        (
            f"# Survey of {folder.rstrip('/').rpartition('/')[2] or folder}",
            "",
            f"{_code(folder)}: {_many(total.files, 'text file')}, read by {_many(len(parts), 'worker')}.",
            "",
            "| | Total |",
            "|---|---:|",
            f"| Files | {total.files:,} |",
            f"| Lines | {total.lines:,} |",
            f"| of them blank | {total.blank:,} ({_percent(total.blank, total.lines)}) |",
            f"| Size | {_size(total.size)} |",
            f"| Languages | {len(whole.languages)} |",
            f"| Places left to do | {len(whole.marks):,} |",
            f"| Files not read | {len(whole.binary) + len(whole.unreadable) + len(listing.huge):,} |",
        )
    )


def _languages(whole: Facts) -> str:
    all_lines = _total(whole).lines
    rows = [
        f"| {name} | {count.files:,} | {count.lines:,} | {count.blank:,} | {_percent(count.lines, all_lines)} |"
        for name, count in sorted(whole.languages.items(), key=lambda item: (-item[1].lines, item[0]))
    ]
    head = ["## Languages", "", "| Language | Files | Lines | Blank | Share |", "|---|---:|---:|---:|---:|"]
    return "\n".join([*head, *rows]) if rows else ""


def _table(title: str, count: str, what: str, rows: list[tuple[int, str]]) -> str:
    if not rows:
        return ""
    lines = [f"| {number:,} | {_code(text).replace('|', '&#124;')} |" for number, text in rows]
    return "\n".join([f"## {title}", "", f"| {count} | {what} |", "|---:|---|", *lines])


def _list(title: str, items: list[str], most: int) -> str:
    if not items:
        return ""
    more = [f"- … and {len(items) - most:,} more"] if len(items) > most else []
    return "\n".join([f"## {title}", "", *(f"- {item}" for item in items[:most]), *more])


def _oddities(listing: Listing, whole: Facts, most: int) -> str:
    twice = [paths for paths in whole.digests.values() if len(paths) > 1]
    lines = [
        _oddity("merge-conflict marker", whole.conflicts, most),
        *(f"same content: {', '.join(map(_code, sorted(paths)[:most]))}" for paths in sorted(twice)[:most]),
        _oddity("no newline at the end", whole.no_newline, most),
        _oddity("not UTF-8", whole.not_utf8, most),
        _oddity("empty", whole.empty, most),
        _oddity("binary, not read", whole.binary, most),
        _oddity("not readable", whole.unreadable, most),
        _oddity(f"over {_size(LARGEST_FILE_BYTES)}, not read", [entry.path for entry in listing.huge], most),
        f"{listing.not_listed:,} more files were not listed: too many" if listing.not_listed else "",
    ]
    return _list("Oddities", [line for line in lines if line], len(lines))


def _oddity(name: str, places: list[str], most: int) -> str:
    if not places:
        return ""
    shown = ", ".join(_code(place) for place in places[:most])
    return f"{name} ({len(places):,}): {shown}{' …' if len(places) > most else ''}"


def _who(parts: list[Part]) -> str:
    rows = [f"- {part.worker}: {_many(part.files, 'file')}, {_size(_total(part.facts).size)} of text" for part in parts]
    return "\n".join(["## Who read what", "", *rows])


def _total(facts: Facts) -> Count:
    counts = facts.languages.values()
    return Count(
        sum(count.files for count in counts),
        sum(count.lines for count in counts),
        sum(count.blank for count in counts),
        sum(count.size for count in counts),
    )


def _mark(line: str) -> str:
    place, _, text = line.partition(" ")
    return f"{_code(place)} {_plain(text)}"


def _code(text: str) -> str:
    """Quote as code; a backtick inside would end it."""
    return f"`{text.replace('`', 'ˋ')}`"


def _plain(text: str) -> str:
    """Keep a line out of a stranger's file from turning into Markdown of ours."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text)


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"


def _size(size: int) -> str:
    return (
        f"{size:,} B" if size < 1024 else f"{size / 1024:,.0f} KiB" if size < 1024**2 else f"{size / 1024**2:,.1f} MiB"
    )
