"""Pools keep tasks from standing in each other's way. `include/pools.json` creates them: `airflow pools import
include/pools.json`.
"""

#: One slot on the embedded warehouse, because DuckDB lets one process at a time open the file.
WAREHOUSE = "rekindle_warehouse"

#: One pool per channel: how many send tasks talk to a provider at once. The rate itself is the governor's.
CHANNEL = {"email": "rekindle_sendgrid", "sms": "rekindle_twilio"}
