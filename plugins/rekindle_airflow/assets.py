"""What one DAG finishes and the next one waits for.

Named, without a URI: a scheme would make Airflow import every provider that normalises URIs, in every task (0.4 s).
"""

from airflow.sdk import Asset

RAW = Asset("rekindle_raw")
SCORES = Asset("rekindle_scores")
#: What is looked at again between two scorings: the models tagged `hourly`.
FRESH = Asset("rekindle_fresh")
JOURNEYS = Asset("rekindle_journeys")
LEDGER = Asset("rekindle_ledger")
MARTS = Asset("rekindle_marts")

#: The name of what the watcher of the landing zone tells; the asset is made where it is watched, because only there is
#: a trigger needed.
ARRIVALS = "rekindle_arrivals"
