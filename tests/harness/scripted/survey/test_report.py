"""The report."""

from harness.scripted.survey.facts import Count, Facts
from harness.scripted.survey.listing import Entry, Listing
from harness.scripted.survey.report import Part, write_report


def facts(**fields: object) -> Facts:
    """Facts with a language in them."""
    made = Facts(languages={"Python": Count(2, 10, 1, 4096)})
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_lists_are_cut_and_say_so() -> None:
    """Ours: a report fits into a message."""
    marks = [f"a.py:{number} MARK {number}" for number in range(100)]
    text = write_report("/x/project", Listing(), [Part("alice", 2, facts(marks=marks))], lines_each=3)
    assert "- `a.py:2` MARK 2\n- … and 97 more" in text


def test_strange_text_does_not_turn_into_markdown() -> None:
    """Ours: a line out of a stranger's file is shown, not interpreted."""
    marks = ["a`b.py:1 MARK [click](http://x) <b>*now*</b> |"]
    text = write_report("/x/project", Listing(), [Part("alice", 2, facts(marks=marks))])
    assert "`aˋb.py:1` MARK \\[click\\](http://x) \\<b\\>\\*now\\*\\</b\\> \\|" in text


def test_what_was_not_read_is_named() -> None:
    """Ours: nothing is passed over in silence."""
    listing = Listing(huge=[Entry("dump.sql", 2**30)], not_listed=7)
    text = write_report("/x/project", listing, [Part("alice", 2, facts(unreadable=["locked.py"]))])
    assert "| Files not read | 2 |" in text
    assert "- over 1.0 MiB, not read (1): `dump.sql`" in text
    assert "- not readable (1): `locked.py`" in text
    assert "- 7 more files were not listed: too many" in text


def test_empty_sections_are_left_out() -> None:
    """Ours: no headings over nothing."""
    text = write_report("/", Listing(), [])
    assert text.count("## ") == 1  # who read what
