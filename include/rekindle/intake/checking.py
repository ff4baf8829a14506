"""Checks a file of events, leads, support tickets or other tools' messages: the good rows go on, the rest is told.

Nothing is dropped in silence: rows read = rows kept + rows rejected, and every emptied cell is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from rekindle.intake.contact import canonical_email, canonical_phone, canonical_time_zone
from rekindle.intake.reading import Given, read_file
from rekindle.intake.tables import EVENTS, EXTERNAL_MESSAGES, LEADS, TICKETS, Column, Kind, Table
from rekindle.intake.vocabulary import REMEDIES, RejectReason
from rekindle.intake.workspace import Workspace, literal

EXAMPLES_A_REASON = 3
_VALUES_A_BATCH = 20_000

#: Columns of the raw tables in their order, `loaded_at` left out; what is called differently there says `as`.
ROW_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "events": ("event_id", "user_id", "event_type", "occurred_at", "properties"),
    "users": (
        "user_id",
        "email",
        "phone",
        "first_name",
        "time_zone",
        "country",
        "locale",
        "plan",
        "signed_up_at",
        "email_consented_at",
        "sms_consented_at",
        "email_consent_expires_at",
        "sms_consent_expires_at",
        "properties",
    ),
    "support_tickets": ("ticket_id", "user_id", "opened_at", "closed_at", "category", "satisfaction"),
    "external_messages": (
        "message_id as external_message_id",
        "user_id as lead_id",
        # as rekindle.identity.address_hash; the address itself stays in the file
        "sha256(lower(case channel when 'email' then coalesce(email, phone) else coalesce(phone, email) end))"
        " as address_hash",
        "channel",
        "sent_at",
        "tool",
    ),
}


@dataclass(frozen=True)
class Example:
    """One reject, as a person is shown it."""

    source_row: int
    column_name: str | None
    value: str | None
    remedy: str


@dataclass(frozen=True)
class Counts:
    """What became of a file's rows. A reason counts rejected rows and emptied cells alike."""

    table: str
    source_file: str
    rows_read: int
    rows_kept: int
    rows_rejected: int
    cells_emptied: int
    by_reason: Mapping[RejectReason, int] = field(default_factory=dict)
    examples: Mapping[RejectReason, tuple[Example, ...]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.rows_read == self.rows_kept + self.rows_rejected, f"rows of {self.source_file} went missing: {self}"
        assert sum(self.by_reason.values()) == self.rows_rejected + self.cells_emptied, f"rejects went missing: {self}"


@dataclass(frozen=True)
class Validated:
    """A checked file. The relations live in the workspace: read or copy them before it is closed."""

    workspace: Workspace
    rows_table: str
    rejects_table: str
    counts: Counts
    columns_given: frozenset[str]  # our columns the file has, even if every cell is blank

    @property
    def rows(self) -> duckdb.DuckDBPyRelation:
        """The kept rows, columns as the raw table's without `loaded_at`."""
        return self.workspace.connection.table(self.rows_table)

    @property
    def rejects(self) -> duckdb.DuckDBPyRelation:
        """The rejects, columns as the raw table's without `loaded_at`."""
        return self.workspace.connection.table(self.rejects_table).project("* exclude (rejects_row)")


def validate_events(
    path: Path,
    known_user_ids: Validated | Iterable[str] | None = None,
    *,
    as_of: datetime | None = None,
    workspace: Workspace | None = None,
    is_made_up: bool = False,
) -> Validated:
    """Check an event log. Events later than `as_of`, or of a user who is not known, are rejected."""
    return _validate(path, EVENTS, known_user_ids, as_of, workspace, is_made_up)


def validate_leads(
    path: Path, *, as_of: datetime | None = None, workspace: Workspace | None = None, is_made_up: bool = False
) -> Validated:
    """Check a leads file. A malformed address or number is emptied and told; the lead is kept."""
    return _validate(path, LEADS, None, as_of, workspace, is_made_up)


def validate_tickets(
    path: Path,
    known_user_ids: Validated | Iterable[str] | None = None,
    *,
    as_of: datetime | None = None,
    workspace: Workspace | None = None,
    is_made_up: bool = False,
) -> Validated:
    """Check a file of support tickets."""
    return _validate(path, TICKETS, known_user_ids, as_of, workspace, is_made_up)


def validate_external_messages(
    path: Path, *, as_of: datetime | None = None, workspace: Workspace | None = None, is_made_up: bool = False
) -> Validated:
    """Check a file of messages that other tools sent. Addresses leave as hashes; who is no lead counts for nobody."""
    return _validate(path, EXTERNAL_MESSAGES, None, as_of, workspace, is_made_up)


def _validate(
    path: Path,
    table: Table,
    known_user_ids: Validated | Iterable[str] | None,
    as_of: datetime | None,
    workspace: Workspace | None,
    is_made_up: bool,
) -> Validated:
    workspace = workspace or Workspace()
    given = read_file(workspace, path, table)
    latest = "timestamp 'infinity'"
    if as_of is not None:
        latest = f"timestamp {literal(as_of.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' '))}"
    checked, identified, duplicates, kept, rejects = map(
        workspace.name, ("checked", "identified", "duplicates", table.name, "rejects")
    )
    others = [name for name in given.columns if name not in {column.name for column in table.columns}]
    workspace.run(
        "check_rows",
        target=checked,
        given=given.cells,
        columns=[_reading_of(workspace, given, column, latest) for column in table.columns],
        other_columns=given.json_of(others if table.keeps_other_columns else []),
        known_users=_known_users(workspace, known_user_ids) if table.refers_to_user else None,
        needs_one_of=table.needs_one_of,
    )
    workspace.run("derive_keys", target=identified, checked=checked, key=table.key, parts=_spelled(table))
    workspace.run("find_duplicates", target=duplicates, identified=identified, key=table.key)
    workspace.run(
        "keep_rows",
        target=kept,
        identified=identified,
        duplicates=duplicates,
        names=ROW_COLUMNS[table.name],
        keeps_other_columns=table.keeps_other_columns,
        is_made_up=is_made_up,
        source_file=given.source_file,
    )
    workspace.run(
        "reject_rows",
        target=rejects,
        checked=checked,
        duplicates=duplicates,
        given=given.cells,
        broken=given.broken,
        key=table.key,
        record=given.json_of(given.columns),
        source_table=table.name,
        source_file=given.source_file,
        remedies=REMEDIES,
    )
    counts = _count(workspace, table, given, kept, rejects)
    workspace.drop(checked, identified, duplicates)
    return Validated(workspace, kept, rejects, counts, frozenset(given.columns) - frozenset(others))


def _reading_of(workspace: Workspace, given: Given, column: Column, latest: str) -> dict[str, object]:
    """How `check_rows` reads a column: SQL for its cell, its value (null when bad) and the reason it is bad."""
    name, cell = column.name, f"{column.name}_cell"
    lookup: str | None = None
    reason: str | None = None
    value = cell
    match column.kind:
        case Kind.TIME:
            instant = f"parse_time({cell})"
            latest = "timestamp 'infinity'" if column.may_lie_ahead else latest
            earliest = f"coalesce(parse_time({column.not_before}_cell), {instant})" if column.not_before else instant
            value = f"case when {instant} between {earliest} and {latest} then {instant} end"
            reason = (
                f"case when {instant} is null then '{RejectReason.UNPARSABLE_TIME}'"
                f" when {instant} > {latest} then '{RejectReason.IN_THE_FUTURE}'"
                f" else '{RejectReason.ENDS_BEFORE_IT_BEGINS}' end"
            )
        case Kind.JSON_OBJECT:
            value = f"case when json_valid({cell}) and json_type({cell}) = 'OBJECT' then {cell} end"
            reason = f"'{RejectReason.MALFORMED_JSON}'"
        case Kind.CHANNEL:
            value = f"case lower({cell}) when 'email' then 'email' when 'sms' then 'sms' end"
            reason = f"'{RejectReason.UNKNOWN_CHANNEL}'"
        case Kind.ONE_TO_FIVE:
            value = f"case when try_cast({cell} as bigint) between 1 and 5 then try_cast({cell} as bigint) end"
            reason = f"'{RejectReason.OUT_OF_RANGE}'"
        case Kind.EMAIL | Kind.PHONE | Kind.TIME_ZONE if name in given.columns:
            lookup = _look_up(workspace, given, column)
            value = f"{name}_lookup.canonical"
            reason = f"'{_CONTACT_REASONS[column.kind]}'"
    return {
        "name": name,
        "cell": given.cell(name),
        "value": value,
        "reason": reason if name in given.columns else None,
        "is_required": column.is_required,
        "lookup": lookup,
    }


_CONTACT_REASONS = {
    Kind.EMAIL: RejectReason.MALFORMED_EMAIL,
    Kind.PHONE: RejectReason.MALFORMED_PHONE,
    Kind.TIME_ZONE: RejectReason.UNKNOWN_TIME_ZONE,
}


def _look_up(workspace: Workspace, given: Given, column: Column) -> str:
    """A table of every distinct cell of a contact column and its canonical spelling."""
    target = workspace.name(f"{column.name}_lookup")
    country = given.cell("country") if column.kind is Kind.PHONE else "cast(null as varchar)"
    statement = workspace.render(
        "list_distinct_cells", given=given.cells, cell=given.cell(column.name), country=country
    )
    workspace.append(target, _canonical_cells(column.kind, []), is_new=True)
    # a cursor, because batches are written while the distinct cells are still being read
    with workspace.connection.cursor() as cursor:
        cursor.execute(statement)
        while batch := cursor.fetchmany(_VALUES_A_BATCH):
            workspace.append(target, _canonical_cells(column.kind, batch))
    return target


def _canonical_cells(kind: Kind, cells: Sequence[tuple[str, str | None]]) -> pa.Table:
    return pa.table(
        {
            "cell": pa.array([cell for cell, _ in cells], pa.string()),
            "country": pa.array([country for _, country in cells], pa.string()),
            "canonical": pa.array([_canonical(kind, cell, country) for cell, country in cells], pa.string()),
        }
    )


def _canonical(kind: Kind, cell: str, country: str | None) -> str | None:
    match kind:
        case Kind.EMAIL:
            return canonical_email(cell)
        case Kind.PHONE:
            return canonical_phone(cell, country)
        case _:
            return canonical_time_zone(cell)


def _known_users(workspace: Workspace, known_user_ids: Validated | Iterable[str] | None) -> str | None:
    """A table of the users there are, or None when anybody may be one."""
    if known_user_ids is None:
        return None
    if isinstance(known_user_ids, Validated):
        assert known_user_ids.workspace is workspace, "leads and events must share a workspace"
        return known_user_ids.rows_table
    target = workspace.name("known_users")
    workspace.append(target, pa.table({"user_id": pa.array(sorted(set(known_user_ids)), pa.string())}), is_new=True)
    return target


def _spelled(table: Table) -> str | None:
    """SQL for the parts a missing key is made from, joined as `rekindle.identity.stable_id` joins them."""
    if not table.derived_key_parts:
        return None
    parts = [
        f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')" if table.column(name).kind is Kind.TIME else name
        for name in table.derived_key_parts
    ]
    return f"concat_ws('|', {', '.join(parts)})"


def _count(workspace: Workspace, table: Table, given: Given, kept: str, rejects: str) -> Counts:
    summary = workspace.fetch("count_rejects", rejects=rejects, examples=EXAMPLES_A_REASON)
    by_reason: dict[RejectReason, int] = {}
    examples: dict[RejectReason, tuple[Example, ...]] = {}
    for reason, _, count, shown in summary:
        by_reason[RejectReason(reason)] = by_reason.get(RejectReason(reason), 0) + count
        seen = (*examples.get(RejectReason(reason), ()), *(Example(**example) for example in shown))
        examples[RejectReason(reason)] = tuple(sorted(seen, key=lambda example: example.source_row)[:EXAMPLES_A_REASON])
    return Counts(
        table=table.name,
        source_file=given.source_file,
        rows_read=workspace.count(given.cells) + workspace.count(given.broken),
        rows_kept=workspace.count(kept),
        rows_rejected=sum(count for _, rejects_row, count, _ in summary if rejects_row),
        cells_emptied=sum(count for _, rejects_row, count, _ in summary if not rejects_row),
        by_reason=by_reason,
        examples=examples,
        notices=given.notices,
    )
