{#
  Tells: one person (shared address or number) has entries in both arms of a campaign. Two leads that were strangers when
  they entered can turn out to be one person later; the cohort then keeps that person in the holdout. More than a few
  of these mean that the draw of the arm is broken.
#}
{{ config(severity='warn', tags=['measure']) }}

select
    campaign_id,
    person_id
from {{ source('rekindle_state', 'journey_entries') }}
group by campaign_id, person_id
having min(arm) != max(arm)
