"""Texts that answer a question we asked: read while they come in, before they become events.

Which question was open is judged as of when the text came, from the messages that had been sent by then and from the
campaign version they were sent under. So it does not matter how late, how often and in which order texts are heard.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from rekindle.campaigns.loader import restore_campaign
from rekindle.campaigns.models import AskStep
from rekindle.errors import ConfigurationError
from rekindle.replies.classify import OpenQuestion, Reply, ReplyKind, classify_reply
from rekindle.run import Run
from rekindle.warehouse import Transaction

log = logging.getLogger(__name__)

#: Campaign and version.
_Version = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Question:
    """What may be answered, and for how long."""

    words: OpenQuestion
    patience: timedelta


def read_answers(transaction: Transaction, run: Run) -> int:
    """Turn incoming texts that answer an open question into answers; how many were new.

    Such a text stops nothing and waits for nobody: its event becomes one that only says what was answered. A stop is
    never an answer. Call it before `incoming_events` becomes `message_events`.
    """
    rows = transaction.fetch("replies/list_answerable_texts")
    if not rows:
        return 0
    asked = _asked_in(transaction, {(row["campaign_id"], row["journey_version"]) for row in rows})
    answers = 0
    for event_key, sent in itertools.groupby(rows, key=lambda row: str(row["event_key"])):
        found = _answer(list(sent), asked)
        if found is None:
            continue
        message, reply = found
        transaction.execute("replies/mark_incoming_answered", event_key=event_key, detail=reply.detail)
        answers += transaction.execute(
            "replies/insert_question_answer",
            entry_id=message["entry_id"],
            step_id=message["step_id"],
            answer=reply.answer,
            answered_at=message["replied_at"],
            event_key=event_key,
            recorded_at=run.recorded_at,
        )
    return answers


def _asked_in(transaction: Transaction, versions: Iterable[_Version]) -> dict[_Version, Mapping[str, _Question]]:
    """The questions of each campaign version, by step."""
    return {
        (campaign_id, version): _questions(campaign_id, row["definition"])
        for campaign_id, version in sorted(versions)
        for row in transaction.fetch("replies/fetch_campaign_version", campaign_id=campaign_id, journey_version=version)
    }


@lru_cache(maxsize=64)
def _questions(campaign_id: str, definition: str) -> Mapping[str, _Question]:
    found = {}
    for step in restore_campaign(campaign_id, definition).steps:
        if isinstance(step, AskStep):
            try:
                found[step.step_id] = _Question(OpenQuestion(step.step_id, dict(step.expected)), step.within)
            except ConfigurationError as error:
                # opt-outs are read in the same breath: they must not wait until somebody has mended a campaign
                log.error("campaign %s: %s; its answers wait for a person", campaign_id, error)
    return found


def _answer(
    sent: Sequence[dict[str, Any]], asked: Mapping[_Version, Mapping[str, _Question]]
) -> tuple[dict[str, Any], Reply] | None:
    """The message whose question the text answers, and its answer; `sent` is what went to the number, newest first."""
    for message in sent:
        question = asked.get((message["campaign_id"], message["journey_version"]), {}).get(message["step_id"])
        if question is not None and message["replied_at"] <= message["asked_at"] + question.patience:
            text = json.loads(message["payload"])
            reply = classify_reply(text.get("Body", ""), question.words, text.get("OptOutType"))
            return (message, reply) if reply.kind is ReplyKind.ANSWER else None
    return None
