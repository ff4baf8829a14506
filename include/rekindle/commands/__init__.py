"""Groups of `rekindle`'s commands. Apart from the rooms they speak for, whose import would slow every other command."""
