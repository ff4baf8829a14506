"""The reviewed list of prices: `prices.csv`, where every row says who says so and when somebody looked."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from rekindle.errors import BadInputError

PRICES_FILE = Path(__file__).with_name("prices.csv")


class Standing(StrEnum):
    """How well a price is known."""

    OFFICIAL = "official"  # read on the seller's own page
    THIRD_PARTY = "third_party"  # somebody else writes that this is the seller's list price
    UNCHECKED = "unchecked"  # an order of magnitude; your invoice knows better


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs."""

    item: str
    unit: str
    amount: float
    currency: str
    status: Standing
    checked_on: date
    source: str


def load_prices(path: Path = PRICES_FILE) -> Mapping[str, Price]:
    """Item → price. Raises `BadInputError` naming file, line and what is wrong with it."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    prices: dict[str, Price] = {}
    for number, row in enumerate(rows, 2):
        try:
            amount = float(row["amount"])
            price = Price(
                row["item"],
                row["unit"],
                amount,
                row["currency"],
                Standing(row["status"]),
                date.fromisoformat(row["checked_on"]),
                row["source"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                f"{path.name} line {number}: {error}; a row is item, unit, amount, … as above it"
            ) from error
        if amount < 0 or price.item in prices or not price.source:
            raise BadInputError(
                f"{path.name} line {number}: {price.item} must be listed once, with an amount from 0 and a source"
            )
        prices[price.item] = price
    return prices
