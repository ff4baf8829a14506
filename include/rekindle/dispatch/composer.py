"""Turns a claimed row into the very words that will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from rekindle.campaigns.models import Campaign, EmailStep, SmsStep
from rekindle.campaigns.step_definitions import OfferDefinition
from rekindle.channels.ports import OutgoingEmail, OutgoingSms
from rekindle.errors import ConfigurationError
from rekindle.events.bots import honeypot_of
from rekindle.rendering.context import Company, end_of_offer, shared_context
from rekindle.rendering.fields import LEAD_FIELDS, usable
from rekindle.rendering.render import EmailRenderer, SmsRenderer
from rekindle.tokens import TokenSigner
from rekindle.warehouse.ports import Row

MAXIMUM_VALIDITY = 36_000  # seconds: what Twilio's ValidityPeriod takes at most


class Composed(Struct, frozen=True, gc=False):
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
        step_id = row["step_id"]
        writer = self._writers.get(step_id)
        if writer is None:
            writer = self._writers[step_id] = self._writer(step_id)
        if isinstance(writer.renderer, EmailRenderer):
            return self._email(row, writer.renderer, writer)
        return self._sms(row, writer.renderer, writer, now)

    @cached_property
    def _writers(self) -> dict[str, _Writer]:
        return {}

    def _writer(self, step_id: str) -> _Writer:
        step = self.campaign.step(step_id)
        if not isinstance(step, EmailStep | SmsStep):
            raise ConfigurationError(f"step `{step_id}` of {self.campaign.campaign_id} sends nothing any more")
        renderer = EmailRenderer(step) if isinstance(step, EmailStep) else SmsRenderer(step)
        shared = shared_context(self.campaign, self.company, step.offer)
        return _Writer(
            renderer=renderer,
            shared=usable({name: value for name, value in shared.items() if name in renderer.fields}),
            lead_fields=tuple(name for name in LEAD_FIELDS if name in renderer.fields),
            offer=step.offer,
            has_html=isinstance(step, EmailStep) and step.html_template is not None,
        )

    def _email(self, row: Row, renderer: EmailRenderer, writer: _Writer) -> Composed:
        unsubscribe_url = self._unsubscribe_url(row)
        hidden = self._click_url(row, honeypot_of(self.app_url)) if writer.has_html else None
        rendered = renderer.render(self._shown(row, writer, unsubscribe_url), honeypot_link=hidden)
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

    def _sms(self, row: Row, renderer: SmsRenderer, writer: _Writer, now: datetime) -> Composed:
        unsubscribe_url = self._unsubscribe_url(row) if "unsubscribe_link" in renderer.fields else ""
        rendered = renderer.render(self._shown(row, writer, unsubscribe_url))
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

    def _shown(self, row: Row, writer: _Writer, unsubscribe_url: str) -> dict[str, object]:
        """What the step's templates say of this lead; signing a link costs as much as rendering, so none is made in
        vain.
        """
        used = writer.renderer.fields
        shown = writer.shared | usable({name: row.get(name) for name in writer.lead_fields})
        if "tracked_link" in used:
            shown["tracked_link"] = self._click_url(row, self.app_url)
        if "unsubscribe_link" in used:
            shown["unsubscribe_link"] = unsubscribe_url
        if "preferences_link" in used:
            shown["preferences_link"] = self._preferences_url(row)
        if "confirm_link" in used and row["confirm_token"]:
            shown["confirm_link"] = self._confirm_url(row["confirm_token"])
        if "offer_ends_on" in used:
            shown |= usable({"offer_ends_on": end_of_offer(row, writer.offer)})
        return shown

    def _click_url(self, row: Row, destination: str) -> str:
        return f"{self.public_base_url}/c/{self.signer.click(row['message_id'], destination)}"

    def _preferences_url(self, row: Row) -> str:
        token = self.signer.preferences(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/p/{token}"

    def _confirm_url(self, confirm_token: str) -> str:
        """Where the sign-up is confirmed, by the token the receiver made for it."""
        return f"{self.public_base_url}/confirm/{confirm_token}"

    def _unsubscribe_url(self, row: Row) -> str:
        token = self.signer.unsubscribe(row["message_id"], row["address_hash"], row["channel"], self.campaign.topic)
        return f"{self.public_base_url}/u/{token}"


@dataclass(frozen=True, slots=True)
class _Writer:
    """What every message of a step has in common."""

    renderer: EmailRenderer | SmsRenderer
    shared: dict[str, object]  # the fields that say the same to everybody
    lead_fields: tuple[str, ...]  # the others of the lead's that its templates use
    offer: OfferDefinition | None
    has_html: bool
