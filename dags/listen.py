"""
### Listen: what arrived, between two days

Within seconds of an arrival, and every five minutes: loads the new files of the landing zone, writes suppressions,
settles messages and ends the journeys that a click, a reply, a hard bounce or a STOP ends. It starts nothing else: no
scoring, no planning, no sending. So an opt-out that the receiver has answered holds for every message that is claimed
after the next tick.

**As of when?** A tick is about now. It acts as of its own instant, never of one in the clock's future and never of one
before the newest finished day, and it finishes no day: the daily cycle's guard does not see it, so a day that starts,
is retried or is cleared after a tick is not taken for an older one. A tick is never refused; an opt-out is never too
old to be heard. It looks at the landing folders of the last two days; the daily `ingest` looks at all of them.

**Schedule.** The asset `rekindle_arrivals`: Airflow's triggerer looks at the landing zone every two seconds (30 at an
object store; `REKINDLE_ARRIVAL_POLL_SECONDS`) and rests 20 seconds after each tick it has started
(`REKINDLE_ARRIVAL_QUIET_SECONDS`); `REKINDLE_LISTEN_ON_ARRIVAL=false` switches that off. Beside it the cron line
`REKINDLE_INGEST_SCHEDULE`; empty means none. Under a stepped clock neither is there unless it is set: nothing there
runs by itself.

**Rerun or clear?** Both are safe: files are loaded once by manifest, events once by natural key.

**Triage.** While this DAG is red or paused, nobody's opt-out is heard before the daily `ingest`: mend it first. If only
the clock starts it, the triggerer is down or can not read the landing zone: an opt-out is heard up to five minutes
later. What could not be read is a dead letter: docs/runbooks/dead_letters.md.
"""

from airflow.sdk import dag, task

from rekindle_airflow.listening import listening_dag
from rekindle_airflow.pools import WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.ingest import load_arrivals
from rekindle_airflow.tasks.provider_sync import hand_over_replies


@dag(dag_id="listen", doc_md=__doc__, **listening_dag(Tag.STOPS_LISTENING))
def listen():
    # before everything else that waits for the slot: who said stop must not wait behind a build
    arrivals = task(pool=WAREHOUSE, priority_weight=100)(load_arrivals)()
    replies = task(pool=WAREHOUSE)(hand_over_replies)()

    # a person is told about new texts within minutes
    arrivals >> replies


listen()
