"""
### Refresh: who did something in the last hours

Between two scorings: carts, looks at the prices, sign-ups and inbound signals are judged as of now, and the campaigns
that enter from them have a tick of their own. Nothing else is computed: the scores, who is cold and the marts stay
yesterday's. What is current are views; this writes one row, the instant they are judged at, and runs their data tests.

**As of when?** Each run acts as of its own instant and finishes no day. A campaign's tick between two days brings only
campaigns of this kind forward; a person whom another campaign wrote to today is left alone until tomorrow.

**Schedule.** `REKINDLE_REFRESH_SCHEDULE`, at a quarter past each hour unless set; empty means only when triggered, as
under a stepped clock. Inbox folders that are complete by then are loaded; what the product sends to the receiver is
loaded by `listen` within seconds.

**Rerun or clear?** Both are safe. A look older than the newest one, or than the newest finished day, is skipped.

**Pause** it if no campaign has to enter within hours: those campaigns then have one tick a day, after `score`.
"""

from airflow.sdk import dag, task

from rekindle_airflow.assets import FRESH
from rekindle_airflow.dag_defaults import hourly_dag
from rekindle_airflow.operators.build_models_operator import BuildModelsOperator
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.ingest import load_tables


@dag(dag_id="refresh", doc_md=__doc__, **hourly_dag(Tag.STOPS_SENDING))
def refresh():
    tables = task(pool=WAREHOUSE)(load_tables)()
    models = BuildModelsOperator(
        task_id="refresh_models", selector="tag:hourly", between_days=True, pool=WAREHOUSE, outlets=[FRESH]
    )

    tables >> models


refresh()
