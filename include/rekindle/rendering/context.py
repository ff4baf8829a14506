"""Puts together what a template can say to one lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rekindle.campaigns.models import Campaign
from rekindle.rendering.fields import MERGE_FIELDS


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
) -> dict[str, object]:
    """The merge fields of one message. Of `lead` only the known fields of a lead are taken, whatever else it holds."""
    of_lead = {name: lead.get(name) for name, field in MERGE_FIELDS.items() if not field.is_always_there}
    offer = campaign.offer
    return {
        **of_lead,
        "tracked_link": tracked_link,
        "unsubscribe_link": unsubscribe_link,
        "preferences_link": preferences_link,
        "company_name": company.name,
        "postal_address": company.postal_address,
        "sender_name": campaign.sender.name,
        "offer_code": offer.code if offer else None,
        "offer_description": offer.description if offer else None,
    }
