from __future__ import annotations

import io

from rich.console import Console

from rekindle.intake import summarise, validate_events, validate_leads


def told(*checked) -> str:
    console = Console(file=io.StringIO(), width=240)
    console.print(summarise([each.counts for each in checked]))
    return console.file.getvalue()


def test_the_summary_counts_and_shows_the_first_three_examples(workspace, write, noon):
    rows = "".join(f"{number},a,never {number}\n" for number in range(1, 6))
    text = told(
        validate_events(
            write(f"user_id,event_type,occurred_at\n{rows}9,a,2024-05-01\n"), as_of=noon, workspace=workspace
        )
    )
    assert text.splitlines()[4].replace("│", " ").split() == ["events.csv", "events", "6", "1", "5", "0"]
    assert "unparsable_time" in text
    for line, shown in ((2, True), (3, True), (4, True), (5, False)):
        assert (f"events.csv:{line} occurred_at never {line - 1}" in text) is shown
    assert "no zone means UTC" in text


def test_the_summary_does_not_show_people(workspace, write, noon):
    """The shape of a bad address shows the fault; a line that can not be cut into cells may hold anything."""
    rows = '1,jane.doe(at)example.com,555 0100\n2,"mary"x@example.com,\n'
    text = told(validate_leads(write(f"user_id,email,phone\n{rows}"), as_of=noon, workspace=workspace))
    assert "events.csv:2 email j•••.•••(••)•••••••.•••" in text
    assert "events.csv:2 phone 5•• ••••" in text
    assert 'events.csv:3 2,"••••"•@•••••••.•••,' in text
    assert "jane.doe" not in text
    assert "mary" not in text


def test_markup_in_a_value_is_shown_as_it_is(workspace, write, noon):
    text = told(
        validate_events(write("user_id,event_type,occurred_at\n1,a,[red]x[/red]\n"), as_of=noon, workspace=workspace)
    )
    assert "[red]x[/red]" in text


def test_clean_files_show_no_faults(workspace, write, noon):
    text = told(
        validate_events(write("user_id,event_type,occurred_at\n1,a,2024-05-01\n"), as_of=noon, workspace=workspace)
    )
    assert "not taken" not in text
