"""Turns a claimed row into the very words that will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rekindle.campaigns.models import Campaign, EmailStep, SmsStep
from rekindle.channels.ports import OutgoingEmail, OutgoingSms
from rekindle.errors import ConfigurationError
from rekindle.events.bots import honeypot_of
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.render import render_email, render_sms
from rekindle.tokens import TokenSigner
from rekindle.warehouse.ports import Row

MAXIMUM_VALIDITY = 36_000  # seconds: what Twilio's ValidityPeriod takes at most


@dataclass(frozen=True)
class Composed:
    """One message ready to go, with what the ledger keeps of it."""

    message_id: str
    outgoing: OutgoingEmail | OutgoingSms
    body_hash: str
    segments: int
    expires_at: datetime


@dataclass(frozen=True)
class Composer:
    """Renders messages of one campaign; links are signed and point at our own receiver."""

    campaign: Campaign
    signer: TokenSigner
    public_base_url: str
    app_url: str
    company: Company

    def compose(self, row: Row, now: datetime) -> Composed:
        """Render one claimed row.

        Raises `rekindle.rendering.render.RenderingError` when it can not be made; the message is held and the lead is
        not to blame.
        """
        step = self.campaign.step(row["step_id"])
        unsubscribe_url = self._unsubscribe_url(row)
        context = message_context(
            self.campaign,
            row,
            self.company,
            tracked_link=f"{self.public_base_url}/c/{self.signer.click(row['message_id'], self.app_url)}",
            unsubscribe_link=unsubscribe_url,
            preferences_link=self._preferences_url(row),
        )
        if isinstance(step, EmailStep):
            return self._email(row, step, context, unsubscribe_url)
        if isinstance(step, SmsStep):
            return self._sms(row, step, context, now)
        raise ConfigurationError(f"step `{step.step_id}` of {self.campaign.campaign_id} sends nothing any more")

    def _email(self, row: Row, step: EmailStep, context: dict[str, object], unsubscribe_url: str) -> Composed:
        hidden = self.signer.click(row["message_id"], honeypot_of(self.app_url))
        rendered = render_email(step, context, honeypot_link=f"{self.public_base_url}/c/{hidden}")
        outgoing = OutgoingEmail(
            message_id=row["message_id"],
            campaign_id=row["campaign_id"],
            step_id=row["step_id"],
            lead_id=row["lead_id"],
            to=row["email"],
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            unsubscribe_url=unsubscribe_url,
        )
        return Composed(row["message_id"], outgoing, rendered.body_hash, segments=1, expires_at=row["expires_at"])

    def _sms(self, row: Row, step: SmsStep, context: dict[str, object], now: datetime) -> Composed:
        rendered = render_sms(step, context)
        outgoing = OutgoingSms(
            message_id=row["message_id"],
            campaign_id=row["campaign_id"],
            step_id=row["step_id"],
            lead_id=row["lead_id"],
            to=row["phone"],
            body=rendered.body,
            segments=rendered.segments,
            validity_seconds=max(1, min(MAXIMUM_VALIDITY, int((row["expires_at"] - now).total_seconds()))),
        )
        return Composed(row["message_id"], outgoing, rendered.body_hash, rendered.segments, row["expires_at"])

    def _preferences_url(self, row: Row) -> str:
        token = self.signer.preferences(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/p/{token}"

    def _unsubscribe_url(self, row: Row) -> str:
        token = self.signer.unsubscribe(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/u/{token}"
