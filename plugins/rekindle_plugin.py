"""Registers Rekindle with Airflow. The package itself is in `.airflowignore`; see there for why."""

from airflow.plugins_manager import AirflowPlugin


class RekindlePlugin(AirflowPlugin):
    """Names the package in Airflow's list of plugins."""

    name = "rekindle"
