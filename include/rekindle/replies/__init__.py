"""What to do with a person's text: understand it, hand it to a person, answer HELP."""

from rekindle.replies.classify import OpenQuestion, Reply, ReplyKind, classify_reply
from rekindle.replies.queue import WaitingReplies, mark_reply_handled, queue_replies, tell_waiting_replies

__all__ = [
    "OpenQuestion",
    "Reply",
    "ReplyKind",
    "WaitingReplies",
    "classify_reply",
    "mark_reply_handled",
    "queue_replies",
    "tell_waiting_replies",
]
