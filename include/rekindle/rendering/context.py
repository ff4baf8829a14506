"""Puts together what a template can say to one lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from rekindle.campaigns.models import Campaign
from rekindle.campaigns.step_definitions import OfferDefinition
from rekindle.rendering.fields import LEAD_FIELDS


@dataclass(frozen=True, slots=True)
class Company:
    """Who writes; the law wants both in every e-mail (15 USC 7704(a)(5))."""

    name: str
    postal_address: str


def message_context(
    campaign: Campaign,
    lead: Mapping[str, object],
    company: Company,
    *,
    tracked_link: str,
    unsubscribe_link: str,
    preferences_link: str = "",
    confirm_link: str = "",
    offer: OfferDefinition | None = None,
) -> dict[str, object]:
    """The merge fields of one message. Of `lead` only the known fields of a lead are taken, whatever else it holds.

    `offer` is the step's; the day it ends is that of `lead["offer_ends_at"]`, which planning sets.
    """
    return {
        **shared_context(campaign, company, offer),
        **{name: lead.get(name) for name in LEAD_FIELDS},
        "tracked_link": tracked_link,
        "unsubscribe_link": unsubscribe_link,
        "preferences_link": preferences_link,
        "confirm_link": confirm_link,
        "offer_ends_on": end_of_offer(lead, offer),
    }


def shared_context(campaign: Campaign, company: Company, offer: OfferDefinition | None) -> dict[str, object]:
    """The merge fields that are the same in every message of a step."""
    return {
        "company_name": company.name,
        "postal_address": company.postal_address,
        "sender_name": campaign.sender.name,
        "offer_code": offer.code if offer else None,
        "offer_description": offer.description if offer else None,
    }


def end_of_offer(lead: Mapping[str, object], offer: OfferDefinition | None) -> date | None:
    """The last day of the step's offer for the lead, None if it has no end."""
    return _day(lead.get("offer_ends_at")) if offer and offer.valid_for else None


def _day(instant: object) -> date | None:
    """The UTC day of an instant."""
    return instant.date() if isinstance(instant, datetime) else None
