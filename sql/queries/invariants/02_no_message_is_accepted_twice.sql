-- No message id is accepted by a provider twice: one ledger row, one provider id.
with provider_ids as (
    select
        messages.message_id,
        substr(
            messages.provider_message_id, 1, {{ position("'.'", "messages.provider_message_id || '.'") }} - 1
        ) as provider_id
    from {{ state }}.messages as messages
    where messages.provider_message_id is not null
    union distinct
    select
        events.message_id,
        substr(
            events.provider_message_id, 1, {{ position("'.'", "events.provider_message_id || '.'") }} - 1
        ) as provider_id
    from {{ state }}.message_events as events
    where events.message_id is not null and events.provider <> 'rekindle' and events.provider_message_id is not null
),

accepted as (
    select
        message_id,
        count(*) as provider_id_count
    from provider_ids
    group by message_id
),

ledger as (
    select
        message_id,
        count(*) as row_count
    from {{ state }}.messages
    group by message_id
)

select
    (
        select count(*) from accepted
        where provider_id_count > 1
    )
    + (
        select count(*) from ledger
        where row_count > 1
    ) as violations,
    (select count(*) from ledger) as checked,
    'messages' as unit
