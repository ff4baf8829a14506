"""Turns a claimed row into the very words that will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from rekindle.campaigns.models import Campaign, EmailStep, SmsStep
from rekindle.channels.ports import OutgoingEmail, OutgoingSms
from rekindle.errors import ConfigurationError
from rekindle.events.bots import honeypot_of
from rekindle.rendering.context import Company, message_context
from rekindle.rendering.render import render_email, render_sms, used_fields
from rekindle.tokens import TokenSigner
from rekindle.warehouse.ports import Row

MAXIMUM_VALIDITY = 36_000  # seconds: what Twilio's ValidityPeriod takes at most


class Composed(Struct, frozen=True):
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
        if isinstance(step, EmailStep):
            return self._email(row, step)
        if isinstance(step, SmsStep):
            return self._sms(row, step, now)
        raise ConfigurationError(f"step `{step.step_id}` of {self.campaign.campaign_id} sends nothing any more")

    def _context(self, row: Row, step: EmailStep | SmsStep, unsubscribe_url: str) -> dict[str, object]:
        """What the step's templates may say; signing a link costs as much as rendering, so none is made in vain."""
        used = used_fields(step)
        return message_context(
            self.campaign,
            row,
            self.company,
            tracked_link=self._click_url(row, self.app_url) if "tracked_link" in used else "",
            unsubscribe_link=unsubscribe_url,
            preferences_link=self._preferences_url(row) if "preferences_link" in used else "",
            confirm_link=self._confirm_url(row) if "confirm_link" in used else "",
            offer=step.offer,
        )

    def _email(self, row: Row, step: EmailStep) -> Composed:
        unsubscribe_url = self._unsubscribe_url(row)
        hidden = self._click_url(row, honeypot_of(self.app_url)) if step.html_template else None
        rendered = render_email(step, self._context(row, step, unsubscribe_url), honeypot_link=hidden)
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
            reply_to=self.campaign.sender.reply_to,
        )
        return Composed(row["message_id"], outgoing, rendered.body_hash, segments=1, expires_at=row["expires_at"])

    def _sms(self, row: Row, step: SmsStep, now: datetime) -> Composed:
        unsubscribe_url = self._unsubscribe_url(row) if "unsubscribe_link" in used_fields(step) else ""
        rendered = render_sms(step, self._context(row, step, unsubscribe_url))
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

    def _click_url(self, row: Row, destination: str) -> str:
        return f"{self.public_base_url}/c/{self.signer.click(row['message_id'], destination)}"

    def _preferences_url(self, row: Row) -> str:
        token = self.signer.preferences(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/p/{token}"

    def _confirm_url(self, row: Row) -> str:
        """Where the sign-up is confirmed, by the token the receiver made for it; empty if there is none."""
        token = row["confirm_token"]
        return f"{self.public_base_url}/confirm/{token}" if token else ""

    def _unsubscribe_url(self, row: Row) -> str:
        token = self.signer.unsubscribe(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/u/{token}"
