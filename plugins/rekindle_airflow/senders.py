"""Builds the parts of a send task from the installation's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rekindle_airflow.settings import settings

if TYPE_CHECKING:
    from rekindle.campaigns import Campaign
    from rekindle.channels.provider_errors import ProviderErrors
    from rekindle.dispatch import Composer
    from rekindle.governor.rate import Governor


def composer_of(campaign: Campaign) -> Composer:
    """Renders the campaign's messages with this installation's links and addresses."""
    from rekindle.dispatch import Composer
    from rekindle.rendering.context import Company
    from rekindle.tokens import TokenSigner

    return Composer(
        campaign=campaign,
        signer=TokenSigner(settings().token_keys.get_secret_value().split(",")),
        public_base_url=settings().public_base_url,
        app_url=settings().app_url,
        company=Company(settings().company_name, settings().postal_address),
    )


def provider_errors() -> ProviderErrors:
    """The reviewed error table, from the same seed dbt loads."""
    from rekindle.channels.provider_errors import ProviderErrors

    return ProviderErrors.load()


def governor_of(provider: str) -> Governor:
    """The one governor of a provider account, shared by every process of this installation."""
    from rekindle.governor.settings import open_governor

    return open_governor(provider)
