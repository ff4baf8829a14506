"""Moves the entries that stand on one step: which statement does it, and where each way leads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from rekindle.campaigns.conditions import (
    Condition,
    EventCondition,
    FieldCondition,
    ReplyCondition,
    ScoreCondition,
    SegmentCondition,
)
from rekindle.campaigns.models import (
    NEXT,
    OTHERWISE,
    AskStep,
    BranchStep,
    Campaign,
    EmailStep,
    EndStep,
    SmsStep,
    SplitStep,
    Step,
    TagStep,
    UntilFieldStep,
    UntilLocalStep,
    WaitForStep,
    WebhookStep,
    seconds_in,
)
from rekindle.contacts.number_zones import store_number_zones
from rekindle.journey.fold import fold
from rekindle.run import Run
from rekindle.timing.send_window import WEEKDAYS, LocalHours, SendWindow, next_window, zones_to_respect
from rekindle.timing.zones import whereabouts
from rekindle.warehouse import Transaction
from rekindle.warehouse.statements import with_words

EXITED = "exited"
#: Shares of a draw are told to a statement in millionths.
_WHOLE = 1_000_000
_DAY_MINUTES = 24 * 60

Values = dict[str, object]


def waits_for_news(step: Step) -> bool:
    """Whether an entry may leave the step before it is due: when its message, an answer or an event came."""
    return isinstance(step, (EmailStep, SmsStep, WaitForStep))


def move_from(transaction: Transaction, campaign: Campaign, step: Step, run: Run, oldest: datetime) -> int:
    """Move every entry of this version that is done with the step; how many moved.

    Nobody who is under way entered before `oldest`.
    """
    if isinstance(step, EndStep):
        return 0
    place: Values = {
        "campaign_id": campaign.campaign_id,
        "journey_version": campaign.journey_version,
        "stage": step.step_id,
        **run.signature(),
    }
    targets = targets_of(campaign, step)
    match step:
        case AskStep():
            answers = ",".join(answer for answer, _ in step.expected)
            statement = with_words("journey/insert_asked_transitions", targets=targets, answers=answers)
            moved = transaction.execute(statement, answer_seconds=step.seconds, oldest_entered_at=oldest, **place)
        case EmailStep() | SmsStep():
            del place["as_of"]
            statement = with_words("journey/insert_sent_transitions", targets=targets)
            moved = transaction.execute(statement, oldest_entered_at=oldest, **place)
        case UntilFieldStep():
            statement = with_words("journey/insert_dated_transitions", targets=targets, field=step.field)
            moved = transaction.execute(statement, plus_seconds=step.plus_seconds, **place)
        case UntilLocalStep():
            _store_local_waits(transaction, campaign, step, run)
            statement = with_words("journey/insert_local_transitions", targets=targets)
            moved = transaction.execute(statement, minute=step.minute, **place)
        case WaitForStep():
            statement = with_words("journey/insert_awaited_transitions", targets=targets)
            moved = transaction.execute(statement, event=step.event, oldest_entered_at=oldest, **place)
        case BranchStep(cases=cases) if cases:
            otherwise = OTHERWISE if OTHERWISE in campaign.ways[step.step_id] else NEXT
            statement = with_words(
                "journey/insert_branch_transitions",
                targets=targets,
                otherwise=otherwise,
                cases=",".join(f"{way}.{_case_word(condition)}" for way, condition in cases),
            )
            moved = transaction.execute(statement, oldest_entered_at=oldest, **place, **_case_values(cases))
        case SplitStep():
            statement = with_words(
                "journey/insert_split_transitions", targets=targets, options=options_of(dict(step.ways))
            )
            moved = transaction.execute(statement, salt=campaign.holdout.salt, oldest_entered_at=oldest, **place)
        case _:
            _leave_behind(transaction, step, place)
            reason = "wait_over" if step.kind == "wait" else "passed"
            statement = with_words("journey/insert_due_transitions", targets=_one_way(targets))
            moved = transaction.execute(statement, reason=reason, **place)
    if moved:
        fold(transaction, run)
    return moved


def targets_of(campaign: Campaign, step: Step) -> str:
    """`way.stage.seconds.exit` for each way of a step: see `sql/macros/moves.jinja`."""
    told = []
    for way, following in campaign.following(step.step_id).items():
        if isinstance(following, EndStep):
            told.append(f"{way}.{EXITED}.0.{following.exit}")
        else:
            told.append(f"{way}.{following.step_id}.{seconds_in(following)}.")
    return ",".join(told)


def options_of(weights: Mapping[str, int]) -> str:
    """`name.upper` for each option of a draw that has a weight: the upper bound of its share in millionths."""
    total, upper, told = sum(weights.values()), 0, []
    for name, weight in weights.items():
        if weight:
            upper += weight
            told.append(f"{name}.{upper * _WHOLE // total}")
    return ",".join(told)


def _one_way(targets: str) -> str:
    """A branch whose only case is `otherwise` goes that way as if it were the next step."""
    return targets.replace(f"{OTHERWISE}.", f"{NEXT}.", 1) if targets.startswith(f"{OTHERWISE}.") else targets


def _leave_behind(transaction: Transaction, step: Step, place: Values) -> None:
    """What a step that takes no time writes, beside moving on."""
    if isinstance(step, TagStep):
        actions = [(tag, "added") for tag in step.add] + [(tag, "removed") for tag in step.remove]
        tags = ",".join(f"{tag}.{action}" for tag, action in actions)
        transaction.execute(with_words("journey/insert_tags", tags=tags), **place)
    elif isinstance(step, WebhookStep):
        transaction.execute("journey/insert_webhook_calls", connection_id=step.connection, event=step.event, **place)


def _case_word(condition: Condition) -> str:
    """What the macro `case_test` is told of a condition; see `sql/macros/conditions.jinja`."""
    match condition:
        case EventCondition():
            return "event"
        case ReplyCondition():
            return "reply"
        case SegmentCondition():
            return "segment"
        case ScoreCondition(score=score):
            bounds = [name for name in ("above", "below") if getattr(score, name) is not None]
            return ".".join(("score", *bounds))
        case FieldCondition():
            operator = "unknown" if condition.operand is False else condition.operator
            return f"field.{condition.field}.{operator}.{len(_operands(condition))}"
    return "variant"


def _case_values(cases: tuple[tuple[str, Condition], ...]) -> Values:
    return {
        f"case_{place}_{number}": value
        for place, (_, condition) in enumerate(cases)
        for number, value in enumerate(_bound(condition))
    }


def _bound(condition: Condition) -> tuple[object, ...]:
    match condition:
        case EventCondition():
            return condition.event, int(condition.within.total_seconds())
        case ReplyCondition():
            return condition.reply, condition.to
        case SegmentCondition():
            return (condition.segment,)
        case ScoreCondition(score=score):
            return tuple(bound for bound in (score.above, score.below) if bound is not None)
        case FieldCondition():
            return _operands(condition)
    return (condition.variant,)


def _operands(condition: FieldCondition) -> tuple[object, ...]:
    if condition.operator == "known":
        return ()
    return condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)


def _store_local_waits(transaction: Transaction, campaign: Campaign, step: UntilLocalStep, run: Run) -> None:
    """Compute once when a wait for a time of day ends, and keep it as the evidence of the decision."""
    store_number_zones(transaction, campaign.campaign_id, step.step_id, run)
    rows = transaction.fetch(
        "journey/list_local_waits",
        campaign_id=campaign.campaign_id,
        journey_version=campaign.journey_version,
        stage=step.step_id,
        minute=step.minute,
        as_of=run.as_of,
    )
    waits = []
    for row in rows:
        numbers = row["phone_time_zones"].split(",") if row["phone_time_zones"] else []
        found = whereabouts(row["profile_time_zone"], numbers, row["country"], row["region"], row["postal_code"])
        zones = zones_to_respect(campaign.send_window, found.zones, row["country"])
        decided = {
            "zone_evidence": found.evidence or ("every_zone_of_the_country" if zones else None),
            "time_zones": ",".join(zones) or None,
            "waits_until": next_time_of_day(step.minute, zones, row["reached_at"]),
        }
        waits.append({"campaign_id": campaign.campaign_id, "minute": step.minute} | row | decided)
    transaction.insert("rekindle_state.local_waits", waits)


def next_time_of_day(minute: int, zones: tuple[str, ...], reached_at: datetime) -> datetime:
    """When it is next so late in the strictest zone: the first instant after which it is so late everywhere.

    `reached_at` itself when no zone is known or the zones never agree: every wait ends.
    """
    ends = _DAY_MINUTES if minute else _DAY_MINUTES - 1  # a day without a gap would never begin
    rest_of_day = SendWindow((LocalHours(minute, ends),), frozenset(range(len(WEEKDAYS))))
    interval = next_window(rest_of_day, zones, reached_at)
    if interval is not None and interval.opens_at < reached_at:
        interval = next_window(rest_of_day, zones, max(interval.closes_at, reached_at + timedelta(seconds=1)))
    return interval.opens_at if interval is not None else reached_at
