"""What the files we take look like: one table of columns per kind of file.

A bad cell in a required column rejects its row; a bad cell in an optional column is emptied. Both are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a cell must be."""

    TEXT = "text"
    TIME = "time"
    JSON_OBJECT = "json_object"
    EMAIL = "email"
    PHONE = "phone"
    TIME_ZONE = "time_zone"
    ONE_TO_FIVE = "one_to_five"
    CHANNEL = "channel"


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind = Kind.TEXT
    is_required: bool = False
    not_before: str | None = None  # another time column this one can not precede
    may_lie_ahead: bool = False  # a time later than the instant the run acts as of
    also_called: tuple[str, ...] = ()  # used only to ask "did you mean"


@dataclass(frozen=True)
class Table:
    """One kind of file, and the table of the warehouse its rows go to."""

    name: str  # table in the raw schema
    columns: tuple[Column, ...]
    key: str
    derived_key_parts: tuple[str, ...] = ()  # what a missing key is made from
    keeps_other_columns: bool = False  # in `properties`
    refers_to_user: bool = False
    needs_one_of: tuple[str, ...] = ()  # a row in which none of these can be used is rejected

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


_USER_ID = Column(
    "user_id", is_required=True, also_called=("customer_id", "lead_id", "contact_id", "account_id", "uid", "user", "id")
)
_PROPERTIES = Column("properties", Kind.JSON_OBJECT, also_called=("props", "attributes", "payload"))

EVENTS = Table(
    name="events",
    columns=(
        _USER_ID,
        Column("event_type", is_required=True, also_called=("event", "event_name", "type", "action", "name")),
        Column(
            "occurred_at",
            Kind.TIME,
            is_required=True,
            also_called=("timestamp", "time", "date", "ts", "event_time", "created_at", "datetime"),
        ),
        Column("event_id", also_called=("message_id", "uuid")),
        _PROPERTIES,
    ),
    key="event_id",
    derived_key_parts=("user_id", "event_type", "occurred_at"),
    keeps_other_columns=True,
    refers_to_user=True,
)

LEADS = Table(
    name="users",
    columns=(
        _USER_ID,
        Column("email", Kind.EMAIL, also_called=("e-mail", "email_address", "mail")),
        Column("phone", Kind.PHONE, also_called=("phone_number", "mobile", "telephone", "cell")),
        Column("first_name", also_called=("firstname", "given_name", "forename")),
        Column("time_zone", Kind.TIME_ZONE, also_called=("timezone", "tz")),
        Column("country", also_called=("country_code",)),
        Column("locale", also_called=("language", "lang")),
        Column("plan", also_called=("tier", "subscription")),
        Column("signed_up_at", Kind.TIME, also_called=("signup_date", "created_at", "registered_at")),
        Column("email_consented_at", Kind.TIME, also_called=("email_opt_in_at", "email_consent")),
        Column("sms_consented_at", Kind.TIME, also_called=("sms_opt_in_at", "sms_consent")),
        Column("email_consent_expires_at", Kind.TIME, not_before="email_consented_at", may_lie_ahead=True),
        Column("sms_consent_expires_at", Kind.TIME, not_before="sms_consented_at", may_lie_ahead=True),
        _PROPERTIES,
    ),
    key="user_id",
    keeps_other_columns=True,
)

TICKETS = Table(
    name="support_tickets",
    columns=(
        _USER_ID,
        Column("opened_at", Kind.TIME, is_required=True, also_called=("created_at", "opened", "date")),
        Column("ticket_id", also_called=("case_id", "issue_id", "number")),
        Column("closed_at", Kind.TIME, not_before="opened_at", also_called=("closed", "resolved_at", "solved_at")),
        Column("category", also_called=("topic", "subject")),
        Column("satisfaction", Kind.ONE_TO_FIVE, also_called=("csat", "rating", "score")),
    ),
    key="ticket_id",
    derived_key_parts=("user_id", "opened_at"),
    refers_to_user=True,
)

#: What other tools sent. Whose it was is said by the lead's id, by the address, or both.
EXTERNAL_MESSAGES = Table(
    name="external_messages",
    columns=(
        Column("channel", Kind.CHANNEL, is_required=True, also_called=("type", "medium", "message_type")),
        Column(
            "sent_at",
            Kind.TIME,
            is_required=True,
            also_called=("sent", "timestamp", "time", "date", "occurred_at", "send_time"),
        ),
        Column("tool", is_required=True, also_called=("source", "provider", "platform", "system")),
        Column("message_id", also_called=("id", "uuid", "send_id")),
        Column("user_id", also_called=_USER_ID.also_called),
        Column("email", Kind.EMAIL, also_called=("e-mail", "email_address", "recipient", "to")),
        Column("phone", Kind.PHONE, also_called=("phone_number", "mobile", "telephone", "number")),
        Column("country", also_called=("country_code",)),
    ),
    key="message_id",
    derived_key_parts=("tool", "channel", "sent_at", "user_id", "email", "phone"),
    needs_one_of=("user_id", "email", "phone"),
)
