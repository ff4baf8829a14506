"""
### Reconcile: what nobody told us

Stale claims are released (certainly not sent). Attempts whose worker died become `unknown` (perhaps sent, never sent
again). Unknown texts are looked for in the provider's own list; what can not be proved ages out after 72 hours,
counted.

**Rerun or clear?** Both are safe.
"""

from airflow.sdk import dag, task

from rekindle_airflow.assets import LEDGER, RAW
from rekindle_airflow.dag_defaults import following_dag
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.upkeep import reconcile_ledger


@dag(dag_id="reconcile", doc_md=__doc__, **following_dag(RAW, Tag.STOPS_LISTENING))
def reconcile():
    task(pool=WAREHOUSE, outlets=[LEDGER])(reconcile_ledger)()


reconcile()
