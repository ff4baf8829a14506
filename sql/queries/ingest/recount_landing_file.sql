-- A request that was one dead letter may be many elements now; the manifest says what is there.
update {{ raw }}.landing_files
set
    element_count = (
        select count(*)
        from {{ raw }}.webhook_elements as elements
        where elements.landing_file = $landing_file
    ) + (
        select count(*)
        from {{ raw }}.dead_letters as letters
        where letters.landing_file = $landing_file
    ),
    dead_letter_count = (
        select count(*)
        from {{ raw }}.dead_letters as letters
        where letters.landing_file = $landing_file
    )
where landing_file = $landing_file
