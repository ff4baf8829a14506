"""
### Ingest: what arrived, exactly once

Loads the company's own tables (events, users, tickets), then everything providers, people and the product said since
the last run: webhooks, tracked clicks, opt-outs, app events. Messages settle by monotone ranks, suppressions are
written first, and an entry that a click, a log-in, a hard bounce or a STOP ends, ends here. Between two days `listen`
does the part of the landing files every five minutes; this is the day, and starts the rest of it.

**Rerun or clear?** Both are safe: landing files are loaded once by manifest, events once by natural key. A day older
than the newest finished one is skipped.

**Triage.** Dead letters are in `rekindle_raw.dead_letters` with a reason, and `rekindle dead-letters retry` reads them
again (docs/runbooks/dead_letters.md); rows of input files that could not be used are in `rekindle_raw.rejects` with
file, row, column and remedy.
"""

from airflow.sdk import dag, task

from rekindle_airflow.assets import RAW
from rekindle_airflow.dag_defaults import daily_dag
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.ingest import load_landing_files, load_tables


@dag(dag_id="ingest", doc_md=__doc__, **daily_dag(Tag.STOPS_LISTENING))
def ingest():
    tables = task(pool=WAREHOUSE)(load_tables)()
    landing_files = task(pool=WAREHOUSE, outlets=[RAW])(load_landing_files)()

    # life signs must be in the warehouse before the landing files end journeys
    tables >> landing_files


ingest()
