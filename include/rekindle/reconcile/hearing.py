"""What a provider tells when it is asked goes the same way as what it tells by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rekindle.events.rows import MessageEvent
from rekindle.ingest.landing import finish, insert_rows
from rekindle.ingest.parcels import Parcel, parcel_of, table_of
from rekindle.run import Run
from rekindle.warehouse import Transaction


def apply_events(transaction: Transaction, events: Sequence[MessageEvent], run: Run) -> dict[str, int]:
    """Write the events down once per natural key, and let them settle messages, suppress addresses and end journeys.

    A webhook that comes later with the same news changes nothing. Asking is about now: an instant before the newest
    finished day would move journeys backwards, so that day's is taken instead.
    """
    told = Parcel(manifest=[], rows=parcel_of([]).rows | {"message_events": table_of(MessageEvent, events)})
    counts = insert_rows(transaction, told, run)
    newest = transaction.fetch("audit/fetch_watermark", activity="ingest", campaign_id="")[0]["newest_as_of"]
    as_of = min(run.as_of, run.recorded_at)
    return counts | finish(transaction, replace(run, as_of=max(as_of, newest) if newest else as_of))
