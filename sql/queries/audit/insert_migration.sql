insert into {{ state }}.schema_migrations (migration, sha256, applied_at)
values ($migration, $sha256, $applied_at)
