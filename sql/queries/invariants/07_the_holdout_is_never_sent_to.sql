-- A holdout entry goes through the identical pipeline and is never sent to; one person is in one arm, as far as was
-- known when she entered: people who turn out to be one later stay in the arms they were measured in.
with held_out_sends as (
    select count(*) as violations
    from {{ state }}.messages
    where
        arm = 'holdout'
        and (attempting_at is not null or provider_message_id is not null or status not in ('withheld', 'expired'))
),

known_relatives as (
    {%- for identity in ["lead_id", "person_id", "email_hash", "phone_hash"] %}
    select
        entries.entry_id,
        entries.arm,
        earlier.arm as earlier_arm
    from {{ state }}.journey_entries as entries
    inner join {{ state }}.journey_entries as earlier
        on entries.campaign_id = earlier.campaign_id and entries.{{ identity }} = earlier.{{ identity }}
    where earlier.entry_id <> entries.entry_id and earlier.entered_at <= entries.entered_at
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

-- Held out if any relative was (`holdout` sorts before `treatment`), else in the relatives' arm.
wrong_arms as (
    select known_relatives.entry_id
    from known_relatives
    group by known_relatives.entry_id, known_relatives.arm
    having known_relatives.arm <> min(known_relatives.earlier_arm)
)

select
    (select violations from held_out_sends) + (select count(*) from wrong_arms) as violations,
    (
        select count(*) from {{ state }}.journey_entries
        where arm = 'holdout'
    ) as checked,
    'holdout entries' as unit
