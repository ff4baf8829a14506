"""When a person may be written to: which time zones they may be in, and the instants that suit all of them."""
