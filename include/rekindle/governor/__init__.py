"""One rate per provider account for every process; back-off for what may be repeated; a breaker for what may not."""
