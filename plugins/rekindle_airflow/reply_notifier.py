"""Who is told that texts wait for a person: the log, or whatever notifier this installation names.

`REKINDLE_REPLY_NOTIFIER=my_company.notifiers:tell_support` names any Airflow notifier (Slack, SMTP, PagerDuty …), made
or to be made without arguments. It finds `waiting_replies` in its context, also in its templates, for example
`"{{ waiting_replies.count }} replies since {{ waiting_replies.oldest_at }}"`. No words, numbers or names are in it.
"""

from __future__ import annotations

import logging
import pkgutil
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier
from pydantic_settings import BaseSettings, SettingsConfigDict

from rekindle.errors import ConfigurationError

log = logging.getLogger(__name__)


class ReplySettings(BaseSettings):
    """How replies are handed over; from `REKINDLE_REPLY_NOTIFIER`."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_", extra="ignore", env_ignore_empty=True)

    reply_notifier: str = f"{__name__}:LogReplies"


class LogReplies(BaseNotifier):
    """One log line, where alerting picks it up."""

    def notify(self, context: Any) -> None:
        """Say how many texts wait, since when and of which campaigns."""
        waiting = context["waiting_replies"]
        log.warning(
            "REKINDLE REPLIES WAITING count=%s oldest=%s campaigns=%s; see rekindle_state.reply_queue",
            waiting.count,
            waiting.oldest_at.isoformat(),
            ",".join(waiting.campaigns) or "none",
        )


def reply_notifier() -> BaseNotifier:
    """The notifier of this installation; raises `ConfigurationError` if the setting names none."""
    name = ReplySettings().reply_notifier
    try:
        found = pkgutil.resolve_name(name)
        notifier = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"REKINDLE_REPLY_NOTIFIER={name} can not be loaded ({type(error).__name__}); write it as module:object"
        ) from error
    if not isinstance(notifier, BaseNotifier):
        raise ConfigurationError(f"REKINDLE_REPLY_NOTIFIER={name} is no Airflow notifier; derive it from BaseNotifier")
    return notifier
