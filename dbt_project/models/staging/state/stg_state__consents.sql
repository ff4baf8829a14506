with

source_consents as (
    select * from {{ source('rekindle_state', 'consents') }}
),

renamed as (
    select
        consent_id,
        address_hash,
        lead_id,
        channel,
        topic,
        action,
        wording_version,
        source,
        evidence,
        jurisdiction,
        occurred_at,
        expires_at,
        recorded_at
    from source_consents
)

select * from renamed
