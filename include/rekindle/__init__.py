"""Rekindle's domain: the journey, the score's contract, the ledger and dispatch, the measurement.

Nothing in here imports Airflow or dbt (an import rule proves it); `plugins/rekindle_airflow` adapts it to Airflow.
"""

__version__ = "0.1.0"
