-- Within so many days of entering, a return counts as the campaign's; fixed when the lead enters.
-- Null in entries older than this column, and means 30 there.
alter table {{ state }}.journey_entries add column if not exists attribution_window_days {{ bigint }};

-- A wait for a time of day goes by the same ladder of evidence as a send window.
alter table {{ state }}.local_waits add column if not exists region {{ text }};
alter table {{ state }}.local_waits add column if not exists postal_code {{ text }};
alter table {{ state }}.local_waits add column if not exists zone_evidence {{ text }};

-- Some consents run out by law (in Canada two years after a purchase); null: this one does not.
alter table {{ raw }}.users add column if not exists email_consent_expires_at {{ timestamp }};
alter table {{ raw }}.users add column if not exists sms_consent_expires_at {{ timestamp }};
