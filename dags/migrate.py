"""
### Migrate: bring the warehouse to this version

Applies the append-only migrations of `sql/migrations/`, then builds every dbt model once, seeds included, so that the
daily DAGs find all they read. Trigger it after installing and after every upgrade.

**Rerun or clear?** Both are safe: what is applied is recorded and skipped.
"""

from airflow.sdk import dag, task

from rekindle_airflow.dag_defaults import dag_defaults
from rekindle_airflow.operators.build_models_operator import BuildModelsOperator
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.upkeep import apply_migrations


@dag(dag_id="migrate", doc_md=__doc__, schedule=None, **dag_defaults(Tag.STOPS_SENDING))
def migrate():
    migrations = task(pool=WAREHOUSE)(apply_migrations)()
    models = BuildModelsOperator(task_id="build_models", selector="*", pool=WAREHOUSE)

    migrations >> models


migrate()
