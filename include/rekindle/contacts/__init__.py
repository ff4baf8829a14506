"""Whether an address can be reached at all, and in which time zones its owner may be."""
