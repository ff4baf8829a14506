"""
### Provider sync: what the webhooks missed, and what the providers do not know

Once a day: SendGrid's suppression lists since the last finished run (a day overlapping) become suppressions here;
texts that are still open after 24 hours are asked about by their sid; numbers that were given up are texted no more.
The other way, whoever said no elsewhere (our page, a STOP, another channel) is put on SendGrid's list, and told to
Twilio's Compliance Toolkit where the account has it. Texts in people's own words are handed to a person.

**Rerun or clear?** Both are safe: what was heard is written down once per natural key, what was pushed is in
`rekindle_state.opt_out_pushes`, and putting an address on a list twice is putting it there once.

**Pause** it and nothing gets lost: the next run reads from where the last finished one stood. Until then a lost webhook
is not made good.

**Triage.** A configuration error names the missing scope of the API key: `suppression.read` and
`asm.groups.suppressions.update`. Who was told about replies is `REKINDLE_REPLY_NOTIFIER`; what waits is in
`rekindle_state.reply_queue`.
"""

from airflow.sdk import dag, task

from rekindle_airflow.dag_defaults import daily_dag
from rekindle_airflow.pools import CHANNEL, WAREHOUSE
from rekindle_airflow.tags import Tag
from rekindle_airflow.tasks.provider_sync import (
    hand_over_replies,
    poll_open_texts,
    push_email_opt_outs,
    push_text_opt_outs,
    sync_deactivations,
    sync_suppressions,
)


@dag(dag_id="provider_sync", doc_md=__doc__, **daily_dag(Tag.STOPS_LISTENING))
def provider_sync():
    suppressions = task(pool=CHANNEL["email"])(sync_suppressions)()
    emails = task(pool=CHANNEL["email"])(push_email_opt_outs)()
    texts = task(pool=CHANNEL["sms"])(push_text_opt_outs)()
    task(pool=CHANNEL["sms"])(poll_open_texts)()
    task(pool=CHANNEL["sms"])(sync_deactivations)()
    task(pool=WAREHOUSE)(hand_over_replies)()

    # what the provider knows already is not pushed
    suppressions >> [emails, texts]


provider_sync()
