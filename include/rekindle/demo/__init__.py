"""`make demo`: the whole main job on one machine, with embedded parts and made-up providers."""
