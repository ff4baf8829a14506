"""The made-up people behind the addresses, and the networks between: what happens to a message and who reacts.

Pure and deterministic: everything is derived from the seed, the address and the message, so that the same run gives
the same behaviour and adding a trait leaves the other draws alone. Instants are unix seconds. Shares are made up;
they are of the order the trade reports, and no result of a campaign run against them says anything about real people.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from rekindle.vocabulary import LineType

MINUTE = 60
HOUR = 3600
DAY = 86400

#: Mail traits; `_PER_ADDRESS` ones belong to the mailbox and repeat, the others are drawn for each message.
HARD_BOUNCE_PER_ADDRESS = 0.03
INVALID_PER_ADDRESS = 0.001
BLOCKED = 0.01
DEFERRED = 0.004
DEFERRED_FOR_GOOD = 0.125  # of the deferred
MACHINE_OPENER_PER_ADDRESS = 0.35
SCANNER_PER_ADDRESS = 0.05
OPEN = 0.20
CLICK = 0.05
SIGN_IN_AFTER_CLICK = 0.5
UNSUBSCRIBE = 0.007
COMPLAIN = 0.0015

#: Text message traits. A landline never takes a text; the others together fail about 2 %.
UNKNOWN_NUMBER_PER_NUMBER = 0.004  # 30005
SMS_FAILURES: tuple[tuple[int, float], ...] = ((30003, 0.007), (30007, 0.004), (30008, 0.005))
NO_RECEIPT = 0.01  # `sent` is the last that is heard
STOP_REPLY = 0.02
FREE_REPLY = 0.01
SMS_CLICK = 0.04

LINE_TYPES: tuple[tuple[LineType, float], ...] = (
    (LineType.MOBILE, 0.88),
    (LineType.NON_FIXED_VOIP, 0.04),
    (LineType.LANDLINE, 0.06),
    (LineType.FIXED_VOIP, 0.01),
    (LineType.TOLL_FREE, 0.004),
    (LineType.UNKNOWN, 0.003),
    (LineType.PERSONAL, 0.001),
    (LineType.VOICEMAIL, 0.001),
    (LineType.UAN, 0.001),
)

_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0"
BROWSERS = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_WEBKIT} Version/18.5 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/18.5 Safari/605.1.15",
    f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_CHROME} Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
SCANNERS = (
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0 (compatible; proofpoint; urldefense)",
    "CiscoSecureEmail/1.0",
    "TMES/1.0",
    "python-requests/2.31.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "",
)
MACHINE_OPENERS = (
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)
#: Twilio takes a stop word in any case and with space around it.
STOP_REPLIES = ("STOP", "stop", " Stop", "StOp ", "sTOP\n", "  STOP  ", "Unsubscribe", "QUIT", "end", "cancel ")
#: The provider passes these on as they are; understanding them is the receiver's work.
FREE_REPLIES = (
    "who is this?",
    "Maybe next month, thanks!",
    "Can I get a discount?",
    "please stop texting me",
    "I moved to another tool, sorry",
    "opt out",
    "👍",
)

_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class Dice:
    """Named draws: the same seed, parts and name always give the same number, whatever else is drawn."""

    key: str

    @classmethod
    def of(cls, seed: int, *parts: str) -> Dice:
        return cls("|".join((str(seed), *parts)))

    def unit(self, name: str) -> float:
        """A number in [0, 1)."""
        digest = hashlib.blake2b(f"{self.key}|{name}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / (1 << 53)

    def chance(self, name: str, share: float) -> bool:
        return self.unit(name) < share

    def between(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return low + int(self.unit(name) * (high - low + 1))

    def pick(self, name: str, choices: Sequence[_Choice]) -> _Choice:
        return choices[int(self.unit(name) * len(choices))]

    def weighted(self, name: str, choices: Sequence[tuple[_Choice, float]]) -> _Choice:
        """One of the choices by its weight; the last takes what rounding leaves."""
        mark = self.unit(name) * math.fsum(weight for _, weight in choices)
        for choice, weight in choices:
            mark -= weight
            if mark < 0:
                return choice
        return choices[-1][0]


# --- the networks


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One thing SendGrid will have to tell: its own event name and the fields that go with it."""

    at: int
    event: str
    fields: dict[str, str] = field(default_factory=dict)


def mail_delivery(seed: int, address: str, message_key: str, accepted_at: int) -> list[MailEvent]:
    """What becomes of one mail to an address that is on no suppression list, from `processed` to its end."""
    mailbox = Dice.of(seed, "mailbox", address.lower())
    mail = Dice.of(seed, "mail", message_key)
    if mailbox.chance("invalid", INVALID_PER_ADDRESS):
        return [MailEvent(accepted_at + 1, "dropped", {"reason": "Invalid"})]
    processed = accepted_at + mail.between("processed after", 1, 5)
    tried = processed + mail.between("tried after", 1, 40)
    events = [MailEvent(processed, "processed")]
    if mailbox.chance("hard bounce", HARD_BOUNCE_PER_ADDRESS):
        events.append(
            MailEvent(
                tried,
                "bounce",
                {
                    "type": "bounce",
                    "status": "5.1.1",
                    "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
                    "bounce_classification": "Invalid Address",
                },
            )
        )
    elif mail.chance("blocked", BLOCKED):
        events.append(
            MailEvent(
                tried,
                "bounce",
                {
                    "type": "blocked",
                    "status": "5.7.1",
                    "reason": "554 5.7.1 The message was refused because of recent complaints about its source.",
                    "bounce_classification": mail.pick("classification", ("Reputation", "Content", "Unclassified")),
                },
            )
        )
    elif mail.chance("deferred", DEFERRED):
        events += _deferral(mail, tried)
    else:
        events.append(_delivered(tried + int(mail.unit("delivered after") ** 4 * 10 * MINUTE)))
    return events


def _deferral(mail: Dice, tried: int) -> list[MailEvent]:
    attempts = mail.between("attempts", 1, 3)
    reason = "450 4.2.1 The recipient is receiving mail at a rate that prevents delivery right now."
    deferrals = [
        MailEvent(
            tried + 10 * MINUTE * ((1 << attempt) - 1), "deferred", {"response": reason, "attempt": str(attempt + 1)}
        )
        for attempt in range(attempts)
    ]
    if mail.chance("deferred for good", DEFERRED_FOR_GOOD):
        # A deferred mail is tried for 72 hours.
        expired = {
            "type": "expired",
            "status": "4.2.1",
            "reason": reason,
            "bounce_classification": "Frequency or Volume Too High",
        }
        return [*deferrals, MailEvent(tried + 72 * HOUR, "bounce", expired)]
    return [*deferrals, _delivered(deferrals[-1].at + mail.between("delivered after deferral", HOUR // 4, 4 * HOUR))]


def _delivered(at: int) -> MailEvent:
    return MailEvent(at, "delivered", {"response": "250 2.0.0 OK"})


@dataclass(frozen=True, slots=True)
class SmsStatus:
    """One status of a text message, in Twilio's words."""

    at: int
    status: str
    error_code: int | None = None


def line_type(seed: int, number: str) -> LineType:
    """What kind of line a number is on: about 88 % mobile."""
    return Dice.of(seed, "number", number).weighted("line type", LINE_TYPES)


def sms_delivery(seed: int, number: str, message_key: str, queued_at: int) -> list[SmsStatus]:
    """What becomes of one text after `queued`; the last status may be `sent`, when no receipt ever comes."""
    handset = Dice.of(seed, "number", number)
    text = Dice.of(seed, "text", message_key)
    sending = queued_at + text.between("sending after", 1, 2)
    sent = sending + text.between("sent after", 1, 3)
    end = sent + 1 + int(text.unit("receipt after") ** 3 * 5 * MINUTE)
    statuses = [SmsStatus(sending, "sending"), SmsStatus(sent, "sent")]
    error_code = _sms_error(handset, text, line_type(seed, number))
    if error_code is not None:
        return [*statuses, SmsStatus(end, "undelivered", error_code)]
    if text.chance("no receipt", NO_RECEIPT):
        return statuses
    return [*statuses, SmsStatus(end, "delivered")]


def _sms_error(handset: Dice, text: Dice, line: LineType) -> int | None:
    if line is LineType.LANDLINE:
        return 30006
    if handset.chance("unknown number", UNKNOWN_NUMBER_PER_NUMBER):
        return 30005
    mark = text.unit("failure")
    for code, share in SMS_FAILURES:
        if mark < share:
            return code
        mark -= share
    return None


# --- the people


class ReactionKind(StrEnum):
    MACHINE_OPEN = "machine_open"
    OPEN = "open"
    SCAN = "scan"  # a security gateway asks for every link
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"  # the one-click button of the mail program
    COMPLAIN = "complain"  # "this is spam"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class Reaction:
    """One thing somebody, or a machine in front of somebody, does with a message."""

    at: int
    kind: ReactionKind
    user_agent: str = ""
    #: Reply text, or the HTTP method of a scanner.
    text: str = ""
    #: Seconds from the click to signing in; none when the person looks and leaves.
    signs_in_after: int | None = None


def mail_reactions(seed: int, address: str, message_key: str, delivered_at: int) -> list[Reaction]:
    """What the person at `address`, and the machines in front, do with a mail delivered at `delivered_at`."""
    mailbox = Dice.of(seed, "mailbox", address.lower())
    mail = Dice.of(seed, "mail", message_key)
    browser = mailbox.pick("browser", BROWSERS)
    reactions: list[Reaction] = []
    if mailbox.chance("scanner", SCANNER_PER_ADDRESS):
        method = mailbox.pick("scanner method", ("HEAD", "GET"))
        scanner = mailbox.pick("scanner agent", SCANNERS)
        reactions.append(Reaction(delivered_at + mail.between("scan after", 1, 20), ReactionKind.SCAN, scanner, method))
    if mailbox.chance("machine opener", MACHINE_OPENER_PER_ADDRESS):
        machine = mailbox.pick("machine agent", MACHINE_OPENERS)
        reactions.append(
            Reaction(delivered_at + mail.between("machine open after", 2, HOUR), ReactionKind.MACHINE_OPEN, machine)
        )
    clicks = mail.chance("click", CLICK)
    if clicks or mail.chance("open", OPEN):
        # Between an hour and three days, the first evening more often than the third.
        opened = delivered_at + HOUR + int(mail.unit("open after") ** 2 * (71 * HOUR))
        reactions.append(Reaction(opened, ReactionKind.OPEN, browser))
        if clicks:
            reactions.append(_click(mail, opened + mail.between("click after open", 3, 120), browser))
    if mail.chance("unsubscribe", UNSUBSCRIBE):
        asked = delivered_at + mail.between("unsubscribe after", 10 * MINUTE, 2 * DAY)
        reactions.append(Reaction(asked, ReactionKind.UNSUBSCRIBE, browser))
    if mail.chance("complain", COMPLAIN):
        complained = delivered_at + mail.between("complain after", 5 * MINUTE, DAY)
        reactions.append(Reaction(complained, ReactionKind.COMPLAIN, browser))
    return reactions


def sms_reactions(seed: int, number: str, message_key: str, delivered_at: int) -> list[Reaction]:
    """What the person holding `number` does with a text delivered at `delivered_at`."""
    handset = Dice.of(seed, "number", number)
    text = Dice.of(seed, "text", message_key)
    reactions: list[Reaction] = []
    mark = text.unit("reply")
    replied = delivered_at + text.between("reply after", 20, 6 * HOUR)
    if mark < STOP_REPLY:
        reactions.append(Reaction(replied, ReactionKind.REPLY, text=text.pick("stop", STOP_REPLIES)))
    elif mark < STOP_REPLY + FREE_REPLY:
        reactions.append(Reaction(replied, ReactionKind.REPLY, text=text.pick("free", FREE_REPLIES)))
    if text.chance("click", SMS_CLICK):
        clicked = delivered_at + MINUTE + int(text.unit("click after") ** 2 * DAY)
        reactions.append(_click(text, clicked, handset.pick("browser", BROWSERS)))
    return reactions


def _click(dice: Dice, at: int, browser: str) -> Reaction:
    signs_in = dice.between("sign in after", 20, 300) if dice.chance("sign in", SIGN_IN_AFTER_CLICK) else None
    return Reaction(at, ReactionKind.CLICK, browser, signs_in_after=signs_in)


# --- the webhooks' own unreliability


@dataclass(frozen=True, slots=True)
class Unreliability:
    """Shares of callbacks that come late, twice or overtaken by the next."""

    late: float
    repeated: float
    overtaken: float


@dataclass(frozen=True, slots=True)
class Posting:
    """One delivery of one callback: how long after it happened, and whether under a new event id."""

    lag: int
    renamed: bool = False


def postings(seed: int, callback_key: str, unreliability: Unreliability) -> list[Posting]:
    """How often and how late the provider calls back about one happening."""
    line = Dice.of(seed, "callback", callback_key)
    lag = 0
    if line.chance("late", unreliability.late):
        lag = line.between("late by", 2 * HOUR, 40 * HOUR)
    elif line.chance("overtaken", unreliability.overtaken):
        lag = line.between("overtaken by", 2 * MINUTE, 20 * MINUTE)
    if not line.chance("repeated", unreliability.repeated):
        return [Posting(lag)]
    return [Posting(lag), Posting(lag + line.between("repeated after", 1, 29 * HOUR), line.chance("renamed", 1 / 3))]
