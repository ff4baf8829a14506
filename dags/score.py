"""
### Score: how cold is everybody, as of now

Builds staging, intermediate, scoring and activation models (dbt, through Cosmos) as of the run's logical time, data
tests included. A test that fails stops the day before anybody is written to.

**Rerun or clear?** Both are safe: the same instant gives the same rows.

**Triage.** The task's log holds dbt's own output; `dbt build --select tag:daily_score` in `dbt_project/` reproduces it.
"""

from airflow.sdk import dag

from rekindle_airflow.assets import RAW, SCORES
from rekindle_airflow.dag_defaults import following_dag
from rekindle_airflow.operators.build_models_operator import BuildModelsOperator
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag


@dag(dag_id="score", doc_md=__doc__, **following_dag(RAW, Tag.STOPS_SENDING))
def score():
    # before reconcile, which waits for the same slot: the campaigns wait for the scores, nobody waits for reconcile
    BuildModelsOperator(
        task_id="build_scores", selector="tag:daily_score", pool=WAREHOUSE, outlets=[SCORES], priority_weight=10
    )


score()
