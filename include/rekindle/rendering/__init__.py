"""Message bodies: sandboxed templates, merge fields, and what a text costs in segments."""
