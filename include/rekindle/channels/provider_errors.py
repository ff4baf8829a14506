"""The reviewed table of what a provider's error means for the lead and for the run: data, not code.

`dbt_project/seeds/provider_errors.csv` is the table; a deployment may pass a path of its own. A code that has no row
gets the documented default:

* an API refusal (4xx): `configuration` - hold the lead, count towards the breaker, never mark a lead bad;
* a delivery receipt: count it, and nothing else - do not send again, do not suppress;
* 408 and 5xx: `ambiguous`, whatever code came with them, because the provider may have acted before it failed;
* 429: `transient`, whatever code came with it, because a throttled request was not processed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from rekindle.channels.ports import Outcome, OutcomeKind
from rekindle.errors import ConfigurationError
from rekindle.project import project_root
from rekindle.vocabulary import ErrorClass, Exit, SuppressionReason

Member = TypeVar("Member", bound=StrEnum)


class Provider(StrEnum):
    SENDGRID = "sendgrid"
    TWILIO = "twilio"


class SeenIn(StrEnum):
    """Where an error shows itself."""

    API = "api"  # the answer to our request to send
    RECEIPT = "receipt"  # a delivery event, after the provider had accepted the message
    LOOKUP = "lookup"  # the answer to a question about a number


class Action(StrEnum):
    """What to do about it."""

    END_ENTRY = "end_entry"  # the entry ends with `exit_reason`; `suppression_reason`, if given, is written
    RETRY_LATER = "retry_later"  # the same message may be planned again, after `retry_after_hours` if given
    STOP_RUN = "stop_run"  # ours to mend; no lead changes
    SETTLE_UNKNOWN = "settle_unknown"  # wait for proof; never send again
    COUNT = "count"  # counts towards the breaker and repeated soft failures; changes nothing by itself
    IGNORE = "ignore"  # for the record only


COLUMNS = (
    "provider",
    "error_code",
    "seen_in",
    "error_class",
    "action",
    "exit_reason",
    "suppression_reason",
    "retry_after_hours",
    "meaning",
    "source",
)

#: SendGrid answers 400 for our mistakes and for a bad recipient alike; this is the second kind, proved by isolation.
BAD_RECIPIENT = "400:personalizations.to"


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One row of the table, or the default for a code without a row (`source` is then `default`)."""

    provider: Provider
    error_code: str
    seen_in: SeenIn
    error_class: ErrorClass
    action: Action
    exit_reason: Exit | None
    suppression_reason: SuppressionReason | None
    retry_after_hours: int | None
    meaning: str
    source: str

    def outcome(self, message_id: str, detail: str, retry_after_seconds: float | None = None) -> Outcome:
        """The outcome of a message that met this error; the provider's own waiting time beats the table's."""
        if retry_after_seconds is None and self.retry_after_hours is not None:
            retry_after_seconds = self.retry_after_hours * 3600.0
        return Outcome(
            message_id=message_id,
            kind=OutcomeKind.UNKNOWN if self.error_class is ErrorClass.AMBIGUOUS else OutcomeKind.REFUSED,
            provider=self.provider.value,
            provider_message_id=None,
            error_code=self.error_code,
            error_class=self.error_class,
            exit=self.exit_reason,
            suppression=self.suppression_reason,
            retry_after_seconds=retry_after_seconds,
            detail=detail,
        )


class ProviderErrors:
    """Looks codes up; never fails to answer."""

    def __init__(self, rows: Sequence[ProviderError]) -> None:
        self._rows = {(row.provider, row.error_code, row.seen_in): row for row in rows}

    @classmethod
    def load(cls, path: Path | None = None) -> ProviderErrors:
        """Read and check the table at `path`, or the project's own."""
        return cls(read_provider_errors(path or default_path()))

    def __iter__(self) -> Iterator[ProviderError]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, provider: Provider, error_code: str, seen_in: SeenIn) -> ProviderError | None:
        """The reviewed row, if there is one."""
        return self._rows.get((provider, error_code, seen_in))

    def for_api(self, provider: Provider, error_code: str, http_status: int) -> ProviderError:
        """What a refused or failed request to send means."""
        return self._for_request(provider, error_code, http_status, SeenIn.API)

    def for_lookup(self, provider: Provider, error_code: str, http_status: int) -> ProviderError:
        """What a refused or failed question about a number means."""
        return self._for_request(provider, error_code, http_status, SeenIn.LOOKUP)

    def for_receipt(self, provider: Provider, error_code: str) -> ProviderError:
        """What a delivery receipt's code means."""
        return self.find(provider, error_code, SeenIn.RECEIPT) or _default(
            provider, error_code, SeenIn.RECEIPT, ErrorClass.AMBIGUOUS, Action.COUNT, "a receipt code without a row"
        )

    def _for_request(self, provider: Provider, error_code: str, http_status: int, seen_in: SeenIn) -> ProviderError:
        row = self.find(provider, error_code, seen_in)
        if http_status == 408 or not 300 <= http_status < 500:
            if row is not None and row.error_class is ErrorClass.AMBIGUOUS:
                return row
            return _default(
                provider,
                error_code,
                seen_in,
                ErrorClass.AMBIGUOUS,
                Action.SETTLE_UNKNOWN,
                "the provider may have acted",
            )
        if http_status == 429 and (row is None or row.error_class is not ErrorClass.TRANSIENT):
            return _default(provider, error_code, seen_in, ErrorClass.TRANSIENT, Action.RETRY_LATER, "throttled")
        return row or _default(
            provider, error_code, seen_in, ErrorClass.CONFIGURATION, Action.STOP_RUN, "a refusal without a row"
        )


def network_error(provider: Provider, error_class: ErrorClass, error_code: str, meaning: str) -> ProviderError:
    """What happened to a request that got no answer from the provider: a code of ours, never in the table."""
    actions = {
        ErrorClass.TRANSIENT: Action.RETRY_LATER,
        ErrorClass.CONFIGURATION: Action.STOP_RUN,
        ErrorClass.AMBIGUOUS: Action.SETTLE_UNKNOWN,
    }
    action = actions[error_class]
    return ProviderError(
        provider, error_code, SeenIn.API, error_class, action, None, None, None, meaning, "ours: no answer"
    )


def _default(
    provider: Provider, error_code: str, seen_in: SeenIn, error_class: ErrorClass, action: Action, meaning: str
) -> ProviderError:
    return ProviderError(provider, error_code, seen_in, error_class, action, None, None, None, meaning, "default")


def default_path() -> Path:
    """Where the project keeps the table."""
    return project_root() / "dbt_project" / "seeds" / "provider_errors.csv"


def read_provider_errors(path: Path) -> list[ProviderError]:
    """The rows of the table at `path`; raises `ConfigurationError` naming every wrong row and column at once."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ConfigurationError(f"{path}: the columns must be {', '.join(COLUMNS)}, in this order")
            lines = [(reader.line_num, record) for record in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: the table of provider errors can not be read ({error})") from error

    problems: list[str] = []
    rows: list[ProviderError] = []
    first_seen: dict[tuple[Provider, str, SeenIn], int] = {}
    for line, record in lines:
        row, wrong = _parse(record)
        if row is not None:
            key = (row.provider, row.error_code, row.seen_in)
            if key in first_seen:
                wrong.append(f"column error_code: {row.error_code!r} already has row {first_seen[key]}")
            first_seen.setdefault(key, line)
            rows.append(row)
        problems += [f"row {line}, {problem}" for problem in wrong]
    if not lines:
        problems.append("the table is empty")
    if problems:
        raise ConfigurationError(f"{path}: " + "; ".join(problems))
    return rows


def _parse(record: Mapping[str, str | None]) -> tuple[ProviderError | None, list[str]]:
    wrong: list[str] = []
    if None in record or None in record.values():
        return None, [f"column count: a row has exactly {len(COLUMNS)} fields (quote a field that holds a comma)"]
    text = {column: (record[column] or "") for column in COLUMNS}
    wrong += [f"column {column}: spaces around {value!r}" for column, value in text.items() if value != value.strip()]
    wrong += [
        f"column {column}: must not be empty"
        for column in ("error_code", "meaning", "source")
        if not text[column].strip()
    ]
    provider = _member(Provider, "provider", text, wrong)
    seen_in = _member(SeenIn, "seen_in", text, wrong)
    error_class = _member(ErrorClass, "error_class", text, wrong)
    action = _member(Action, "action", text, wrong)
    exit_reason = _member(Exit, "exit_reason", text, wrong) if text["exit_reason"] else None
    suppression = _member(SuppressionReason, "suppression_reason", text, wrong) if text["suppression_reason"] else None
    hours = None
    if text["retry_after_hours"]:
        if text["retry_after_hours"].isdecimal() and int(text["retry_after_hours"]) > 0:
            hours = int(text["retry_after_hours"])
        else:
            wrong.append(f"column retry_after_hours: {text['retry_after_hours']!r} is not a whole number above 0")

    if action is Action.END_ENTRY and not text["exit_reason"]:
        wrong.append("column exit_reason: end_entry needs the exit it ends with")
    if action is not Action.END_ENTRY and text["exit_reason"]:
        wrong.append("column exit_reason: only end_entry has one")
    if action is not Action.END_ENTRY and text["suppression_reason"]:
        wrong.append("column suppression_reason: only end_entry has one")
    if action is Action.END_ENTRY and error_class not in (None, ErrorClass.PERMANENT):
        wrong.append(f"column action: end_entry needs error_class permanent, not {text['error_class']}")
    if error_class is ErrorClass.PERMANENT and action not in (None, Action.END_ENTRY):
        wrong.append(f"column action: error_class permanent needs end_entry, not {text['action']}")
    if action is Action.STOP_RUN and error_class not in (None, ErrorClass.CONFIGURATION):
        wrong.append(f"column action: stop_run needs error_class configuration, not {text['error_class']}")
    if action is Action.RETRY_LATER and error_class is ErrorClass.AMBIGUOUS:
        wrong.append("column action: what may have been accepted is never sent again")
    if wrong or provider is None or seen_in is None or error_class is None or action is None:
        return None, wrong
    row = ProviderError(
        provider=provider,
        error_code=text["error_code"],
        seen_in=seen_in,
        error_class=error_class,
        action=action,
        exit_reason=exit_reason,
        suppression_reason=suppression,
        retry_after_hours=hours,
        meaning=text["meaning"],
        source=text["source"],
    )
    return row, wrong


def _member(words: type[Member], column: str, text: Mapping[str, str], wrong: list[str]) -> Member | None:
    try:
        return words(text[column])
    except ValueError:
        wrong.append(f"column {column}: {text[column]!r} is not one of {', '.join(word.value for word in words)}")
        return None


def sendgrid_receipt_code(event: str, bounce_type: str | None = None, reason: str | None = None) -> str:
    """The table's code for a SendGrid delivery event: `bounce:blocked`, `dropped:Bounced Address`, `spamreport`."""
    if event == "bounce":
        return f"bounce:{bounce_type or 'bounce'}"
    if event == "dropped":
        return f"dropped:{reason or 'unknown'}"
    return event
