{{ check_mapping('product_feedback', source('company_feedback', 'product_feedback')) }}

with

source_feedback as (
    select * from {{ source('company_feedback', 'product_feedback') }}
),

named as (
    select
        {{ mapped('product_feedback', 'feedback_id', dbt.type_string()) }} as feedback_id,
        {{ mapped('product_feedback', 'user_id', dbt.type_string()) }} as lead_id,
        {{ mapped('product_feedback', 'survey', dbt.type_string()) }} as survey,
        {{ mapped('product_feedback', 'feature_asked_for', dbt.type_string()) }} as feature_asked_for,
        {{ mapped('product_feedback', 'source_file', dbt.type_string()) }} as source_file,
        {{ mapped('product_feedback', 'source_row', 'bigint') }} as source_row,
        {{ mapped('product_feedback', 'given_at', dbt.type_timestamp()) }} as given_at,
        {{ mapped('product_feedback', 'loaded_at', dbt.type_timestamp()) }} as loaded_at
    from source_feedback
),

-- An answer is handed over again when it is corrected: the last arrival is the answer.
last_arrivals as (
    select
        -- ids
        feedback_id,
        lead_id,

        -- strings
        survey,
        nullif(trim(feature_asked_for), '') as feature_asked_for,

        -- timestamps
        given_at
    from named
    where true
    qualify row_number() over (
        partition by feedback_id
        order by loaded_at desc nulls last, source_file desc nulls last, source_row desc nulls last
    ) = 1
)

select * from last_arrivals
