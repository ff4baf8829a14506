"""Adapts Rekindle's domain to Airflow: connections, run context, operators, tasks. Imported by `dags/`, never by
`include/`.
"""
