"""What one DAG finishes and the next one waits for."""

from airflow.sdk import Asset

RAW = Asset(name="rekindle_raw", uri="rekindle://warehouse/raw")
SCORES = Asset(name="rekindle_scores", uri="rekindle://warehouse/scores")
JOURNEYS = Asset(name="rekindle_journeys", uri="rekindle://warehouse/journeys")
LEDGER = Asset(name="rekindle_ledger", uri="rekindle://warehouse/ledger")
MARTS = Asset(name="rekindle_marts", uri="rekindle://warehouse/marts")
