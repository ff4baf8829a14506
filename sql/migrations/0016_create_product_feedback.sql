-- What leads answered in surveys: which feature they asked for, and in which survey.
create table if not exists {{ raw }}.product_feedback (
    feedback_id {{ text }} not null,
    user_id {{ text }} not null,
    survey {{ text }},
    feature_asked_for {{ text }},
    given_at {{ timestamp }} not null,
    is_made_up boolean not null,
    source_file {{ text }} not null,
    source_row {{ bigint }} not null,
    loaded_at {{ timestamp }} not null
);
