"""Who is played with: made-up leads, or those of a file with what it lacks made up. Everything follows the seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from rekindle.demo.people import make_up_leads
from rekindle.intake import Workspace, validate_leads
from rekindle.sandbox.people import DAY, Dice
from rekindle.vocabulary import Segment

SYNTHETIC = "synthetic"
PEOPLE_IN_A_BATCH = 10_000
FEATURES = ("shared folders", "CSV export", "single sign-on", "a mobile app", "weekly summaries")
PRODUCTS = ("the walnut desk", "the reading lamp", "the travel kettle", "the canvas backpack")
SURVEYS = ("the spring survey", "the sign-up form")
TICKETS = ("a double charge", "a missing invoice", "a slow export")
#: Share of leads of whom each field is known; the others test the fallbacks.
KNOWN = 0.6


@dataclass(frozen=True, slots=True)
class Person:
    """One lead as the activation models would know it. `consents` are the channels it agreed to."""

    lead_id: str
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    consents: tuple[str, ...]
    contact: dict[str, Any] = field(repr=False)  # further columns of sync_lead_contacts
    context: dict[str, Any] = field(repr=False)  # columns of sync_lead_context
    cold_score: float
    segment: str


def gather_people(leads: str | Path, count: int, seed: int, at: datetime) -> list[Person]:
    """`synthetic`: so many made-up people; else everybody of a leads file (CSV or parquet; see docs/input.md).

    Raises `BadInputError` when the file can not be read. Order and traits depend on the seed and the ids alone.
    """
    rows = _made_up(count, seed, at) if str(leads) == SYNTHETIC else _of_file(Path(leads), at)
    return [_person(row, seed, at.date()) for row in rows]


def _made_up(count: int, seed: int, at: datetime) -> Iterator[dict[str, Any]]:
    signed_up = (at - timedelta(days=400)).replace(tzinfo=None)
    ids = pa.array([f"lead-{seed}-{number:06d}" for number in range(1, count + 1)])
    since = pa.array([signed_up] * count, pa.timestamp("us"))
    people = pa.RecordBatch.from_arrays([ids, since], names=["user_id", "first_seen"])
    return _rows(make_up_leads([people]))


def _of_file(path: Path, at: datetime) -> list[dict[str, Any]]:
    with Workspace() as workspace:
        checked = validate_leads(path, as_of=at, workspace=workspace)
        given = checked.rows.project("*, signed_up_at as first_seen").order("user_id")
        batches = given.to_arrow_reader(PEOPLE_IN_A_BATCH)
        return list(_rows(make_up_leads(batches, checked.columns_given)))


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _person(row: dict[str, Any], seed: int, today: date) -> Person:
    dice = Dice.of(seed, "person", row["user_id"])
    columns = ("first_name", "time_zone", "country", "locale", "plan")
    contact = {name: row[name] for name in columns}
    contact["last_key_action_on"] = _maybe(dice, "key action", _days_ago(dice, "key action on", today, 30, 300))
    segment = str(dice.pick("segment", tuple(Segment)))
    score = round(40 + 60 * dice.unit("score"), 1)
    return Person(
        lead_id=row["user_id"],
        email=row["email"],
        phone=row["phone"],
        consents=tuple(
            channel
            for channel, address, asked_at in (
                ("email", row["email"], row["email_consented_at"]),
                ("sms", row["phone"], row["sms_consented_at"]),
            )
            if address and asked_at
        ),
        contact=contact,
        context=contact | _context(dice, today) | {"segment": segment, "cold_score": score},
        cold_score=score,
        segment=segment,
    )


def _context(dice: Dice, today: date) -> dict[str, Any]:
    product, has_cart = dice.pick("product", PRODUCTS), dice.chance("cart", KNOWN)
    asked = _maybe(dice, "feature", dice.pick("which feature", FEATURES))
    ticket = _maybe(dice, "ticket", dice.pick("which ticket", TICKETS))
    return {
        "last_product_viewed": _maybe(dice, "product viewed", product),
        "cart_item": product if has_cart else None,
        "feature_asked_for": asked,
        "feature_asked_in": dice.pick("survey", SURVEYS) if asked else None,
        "last_ticket_subject": ticket,
        "last_ticket_on": _days_ago(dice, "ticket on", today, 10, 200) if ticket else None,
        "last_purchase_on": _maybe(dice, "purchase", _days_ago(dice, "purchase on", today, 60, 400)),
        "renewal_on": _maybe(dice, "renewal", today + timedelta(days=dice.between("renewal on", 5, 90))),
        "score_reasons": _maybe(dice, "reasons", "no log-in for months"),
    }


def _maybe(dice: Dice, name: str, value: Any) -> Any:
    return value if dice.chance(f"knows {name}", KNOWN) else None


def _days_ago(dice: Dice, name: str, today: date, fewest: int, most: int) -> date:
    return today - timedelta(days=dice.between(name, fewest, most))


def spread_over(people: Sequence[Person], days: int) -> list[list[Person]]:
    """Who may enter on which day: everybody once, in equal parts over the days."""
    return [list(people[day::days]) for day in range(days)]


def midnight(at: datetime) -> datetime:
    """The UTC midnight before an instant."""
    return datetime.fromtimestamp(int(at.timestamp()) // DAY * DAY, UTC)
