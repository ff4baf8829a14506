"""The send protocol: claim, re-check, commit `attempting`, call, record. At most once, with proof."""

from rekindle.dispatch.batch import Dispatched, dispatch_batch
from rekindle.dispatch.composer import Composed, Composer
from rekindle.dispatch.sender import EmailSender, Sender, SmsSender, emails_in_a_chunk

__all__ = [
    "Composed",
    "Composer",
    "Dispatched",
    "EmailSender",
    "Sender",
    "SmsSender",
    "dispatch_batch",
    "emails_in_a_chunk",
]
