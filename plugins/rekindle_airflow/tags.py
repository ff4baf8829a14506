"""The only tags a Rekindle DAG may carry. Each DAG has exactly one impact."""

from enum import StrEnum


class Tag(StrEnum):
    REKINDLE = "rekindle"
    CAMPAIGN = "campaign"
    # impact: what happens to people when it stands still
    STOPS_SENDING = "impact:stops_sending"  # nothing is written to anybody; people wait
    STOPS_LISTENING = "impact:stops_listening"  # opt-outs and returns are not heard: mend first
    STOPS_MEASURING = "impact:stops_measuring"  # numbers are stale; people are unaffected
