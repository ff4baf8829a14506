"""Every error Rekindle raises on purpose.

RekindleError
├── ConfigurationError      ours to mend: a campaign file, a setting, a credential; stops the run, no lead changes
├── BadInputError           a file handed to us can not be used at all (missing column, empty, unreadable)
├── WarehouseBusyError      somebody else holds the embedded warehouse; try again
└── RefusedError            a guard said no (a stepped clock with a real provider, an older day than the newest
finished)

A message names the thing that is wrong and says how to mend it.
"""

from __future__ import annotations


class RekindleError(Exception):
    """Base of everything raised on purpose."""


class ConfigurationError(RekindleError):
    """Something of ours is set wrong; no lead is to blame and none may change."""


class BadInputError(RekindleError):
    """A whole input file can not be used; single bad rows become rejects instead."""


class WarehouseBusyError(RekindleError):
    """The embedded warehouse stayed locked by another process for the whole patience."""


class WarehouseMemoryError(RekindleError):
    """The embedded warehouse may not take the memory that a statement needs; the transaction was rolled back."""


class RefusedError(RekindleError):
    """A guard refused the action; nothing was changed."""
