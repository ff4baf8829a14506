"""
### Measure: did it work, against the people we left alone

Builds the re-activation marts: entered, active, every exit, re-activation within 30 days and within the campaign's own
window in treatment and holdout, the lift and its 95 % interval. BI tools read these tables under the contract in
`docs/bi_contract.md`.

**Rerun or clear?** Both are safe: the same instant gives the same rows.
"""

from airflow.sdk import dag

from rekindle_airflow.assets import JOURNEYS, MARTS
from rekindle_airflow.dag_defaults import following_dag
from rekindle_airflow.operators.build_models_operator import BuildModelsOperator
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag


@dag(dag_id="measure", doc_md=__doc__, **following_dag(JOURNEYS, Tag.STOPS_MEASURING))
def measure():
    BuildModelsOperator(task_id="build_marts", selector="tag:measure", only_days=True, pool=WAREHOUSE, outlets=[MARTS])


measure()
