"""What goes back at once to whoever texts us: nothing, or the installation's own words to a HELP.

Twilio answers HELP and confirms STOP by itself for its own keywords, and 47 CFR 64.1200(a)(12) allows one confirmation:
so nothing is said to a STOP here, and a HELP is answered only where an answer is configured (Twilio's own switched off
for the number, a standalone short code, or another keyword).
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from rekindle.replies.classify import ReplyKind, classify_reply

NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_ONE_MESSAGE = '<?xml version="1.0" encoding="UTF-8"?><Response><Message>{}</Message></Response>'


def twiml_answer(text: str, opt_out_type: str | None = None, help_answer: str = "") -> str:
    """The TwiML to answer an inbound text with; `help_answer` empty means that Twilio answers HELP."""
    handled_by_twilio = bool(opt_out_type and opt_out_type.strip())
    if not help_answer or handled_by_twilio or classify_reply(text).kind is not ReplyKind.HELP:
        return NO_ANSWER
    return _ONE_MESSAGE.format(escape(help_answer))
