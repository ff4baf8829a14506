-- Who may do what in Rekindle's schemas on BigQuery: three service accounts and a group. The receiver
-- has no account here. docs/growing.md says who is who. A person who owns the project runs this once, and then
-- `rekindle migrate` as rekindle-owner. Replace PROJECT_ID, EU and bi@example.com.
--
-- Running queries is a right on the project, which SQL can not give; for owner, sender, dbt and the group:
--
--     gcloud projects add-iam-policy-binding PROJECT_ID --role=roles/bigquery.jobUser --member=serviceAccount:rekindle-…
--
-- A view reads with the rights of who asks, and some marts are views over views. Authorize rekindle_marts,
-- rekindle_intermediate and rekindle_staging in each schema that they read ("Authorize datasets" in the console, or
-- `bq update --source`): readers then need no right on these.
--
-- A new dataset can be read by every Viewer of its project, and written by every Editor: the basic roles have these
-- rights by default. rekindle_raw, _state, _staging, _intermediate and _activation hold addresses. Take a project in
-- which nobody has a basic role, or remove projectReaders and projectWriters from the datasets (`bq update --source`).

create schema if not exists rekindle_raw options (location = 'EU');
create schema if not exists rekindle_state options (location = 'EU');
create schema if not exists rekindle_seeds options (location = 'EU');
create schema if not exists rekindle_staging options (location = 'EU');
create schema if not exists rekindle_intermediate options (location = 'EU');
create schema if not exists rekindle_activation options (location = 'EU');
create schema if not exists rekindle_marts options (location = 'EU');

-- owner: `rekindle migrate`, whose scripts begin with `create schema if not exists`; roles/bigquery.user on the project
-- gives that.
grant `roles/bigquery.dataOwner` on schema `PROJECT_ID`.rekindle_raw
to "serviceAccount:rekindle-owner@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataOwner` on schema `PROJECT_ID`.rekindle_state
to "serviceAccount:rekindle-owner@PROJECT_ID.iam.gserviceaccount.com";

-- sender: ingest, campaigns, reconcile, provider sync. No role of Google's writes rows without making tables; a custom
-- role does, in the place of dataEditor here:
--
--     gcloud iam roles create rekindleRows --project=PROJECT_ID \
--       --permissions=bigquery.tables.get,bigquery.tables.list,bigquery.tables.getData,bigquery.tables.updateData
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_raw
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_state
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
-- what it reads of what dbt builds, and what the views of activation read in their turn
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_seeds
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_staging
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_intermediate
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_activation
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_marts
to "serviceAccount:rekindle-sender@PROJECT_ID.iam.gserviceaccount.com";

-- dbt: score and measure. It reads raw and state and makes the rest, so that no `--full-refresh` reaches state.
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_raw
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_state
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_seeds
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_staging
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_intermediate
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_activation
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";
grant `roles/bigquery.dataEditor` on schema `PROJECT_ID`.rekindle_marts
to "serviceAccount:rekindle-dbt@PROJECT_ID.iam.gserviceaccount.com";

-- reader: BI. The marts hold hashes and no addresses.
grant `roles/bigquery.dataViewer` on schema `PROJECT_ID`.rekindle_marts
to "group:bi@example.com";
