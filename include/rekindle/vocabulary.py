"""The words of the product, one closed set each. SQL, YAML, docs and screens use the same spelling."""

from __future__ import annotations

from enum import StrEnum


class Arm(StrEnum):
    """Which side of the experiment an entry is on."""

    TREATMENT = "treatment"
    HOLDOUT = "holdout"  # goes through the identical pipeline and is never sent to


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class Exit(StrEnum):
    """Why an entry ended. A closed set: nothing ends without one of these."""

    RE_ENGAGED = "re_engaged"  # a human click, a log-in or a key action
    CONVERTED = "converted"  # did what the campaign asked for
    REPLIED = "replied"  # answered in own words; a person takes over
    PREFERENCE_PAUSED = "preference_paused"  # "I am active, just not by mail"
    UNSUBSCRIBED = "unsubscribed"  # said stop, by any channel
    COMPLAINED = "complained"  # reported us as spam
    SUPPRESSED = "suppressed"  # a suppression learned elsewhere covers the only way on
    INVALID_EMAIL = "invalid_email"  # no such mailbox
    INVALID_PHONE = "invalid_phone"  # no number that can take a text
    SMS_FAILED = "sms_failed"  # the text was refused or not delivered
    NO_REACHABLE_CHANNEL = "no_reachable_channel"  # no address or no consent on any channel left
    CONSENT_EXPIRED = "consent_expired"  # consent ran out while waiting
    SUPERSEDED = "superseded"  # another campaign won the lead
    CANCELLED = "cancelled"  # a person stopped it
    ARCHIVED = "archived"  # silence to the end; the lead is permanently_cold until it shows life


class MessageStatus(StrEnum):
    """Where one planned send stands. Only `dispatch` and `settle` move it; see docs/send_queue_contract.md."""

    PLANNED = "planned"  # wanted; nobody has touched it
    WITHHELD = "withheld"  # a holdout entry's message: final, never sent
    CLAIMED = "claimed"  # one attempt holds it under a lease; certainly not sent yet
    ATTEMPTING = "attempting"  # committed before the call: from here on it may have been sent
    UNKNOWN = "unknown"  # the outcome is not proved; never sent again
    ACCEPTED = "accepted"  # the provider took it
    SENT = "sent"  # the carrier took it
    DELIVERED = "delivered"  # the mailbox or handset took it
    UNDELIVERED = "undelivered"  # accepted, then bounced, dropped or not delivered
    FAILED = "failed"  # refused for good before acceptance
    EXPIRED = "expired"  # never sent: its time had passed
    AGED_OUT = "aged_out"  # unknown for too long; counted, never sent again


#: A status moves only to a higher rank, so late, repeated and out-of-order provider events change nothing.
STATUS_RANK: dict[MessageStatus, int] = {
    MessageStatus.PLANNED: 0,
    MessageStatus.CLAIMED: 10,
    MessageStatus.ATTEMPTING: 20,
    MessageStatus.UNKNOWN: 30,
    MessageStatus.AGED_OUT: 40,
    MessageStatus.ACCEPTED: 50,
    MessageStatus.SENT: 60,
    MessageStatus.DELIVERED: 70,
    MessageStatus.UNDELIVERED: 80,
    MessageStatus.WITHHELD: 90,
    MessageStatus.FAILED: 90,
    MessageStatus.EXPIRED: 90,
}


class EventType(StrEnum):
    """What a provider, a person or the product told us about a message or an address."""

    ACCEPTED = "accepted"  # provider: queued, processed
    SENT = "sent"  # provider: handed to the carrier
    DELIVERED = "delivered"  # provider: the mailbox or handset took it
    DEFERRED = "deferred"  # provider: still trying
    BOUNCED = "bounced"  # permanent: no such mailbox
    BLOCKED = "blocked"  # temporary refusal of this one attempt
    DROPPED = "dropped"  # provider: not even tried, the address is on its list
    UNDELIVERED = "undelivered"  # carrier receipt negative; error_code says why
    FAILED = "failed"  # never left the provider; error_code says why
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    REPLIED = "replied"
    RESUBSCRIBED = "resubscribed"  # evidence only; lifts nothing by itself
    PREFERENCE_PAUSED = "preference_paused"  # "I am active, just leave me alone", by one press on our own page
    OTHER = "other"  # kept, counted, changes nothing


class Stream(StrEnum):
    """What kind of payload a landing file holds; also its folder name."""

    SENDGRID_EVENTS = "sendgrid_events"
    TWILIO_STATUS = "twilio_status"
    TWILIO_INBOUND = "twilio_inbound"
    LINK_CLICKS = "link_clicks"
    UNSUBSCRIBES = "unsubscribes"
    APP_EVENTS = "app_events"
    PREFERENCES = "preferences"
    CONFIRMATIONS = "confirmations"
    OPT_INS = "opt_ins"


class Choice(StrEnum):
    """What a person chose on our own pages or in a form; `rekindle_state.preferences` keeps each as a row."""

    GRANTED = "granted"  # a new consent to this channel and topic, with its evidence
    REVOKED = "revoked"  # no more of this channel or topic
    REQUESTED = "requested"  # asked for in a form and not yet confirmed: grants nothing
    PAUSED = "paused"  # "I am active, just leave me alone": nothing more by any channel
    LESS_OFTEN = "less_often"  # at most one message in thirty days, whatever a campaign's cap says
    AS_USUAL = "as_usual"  # takes `less_often` back


class ConsentSource(StrEnum):
    """Where a word of consent comes from."""

    USERS = "users"  # the company's own user table
    PREFERENCE_PAGE = "preference_page"  # somebody who holds a link we sent to the address
    CONFIRM_PAGE = "confirm_page"  # the second half of a double opt-in: the address is proved
    FORM = "form"  # a form of the company's; nobody has proved the address


class SuppressionReason(StrEnum):
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"
    HARD_BOUNCED = "hard_bounced"
    INVALID_NUMBER = "invalid_number"
    BLOCKED = "blocked"
    PROVIDER_OPTOUT = "provider_optout"


class Segment(StrEnum):
    """What kind of cold lead it is; `dbt_project/models` says by which rule."""

    NEVER_ACTIVATED = "never_activated"  # never did the key action
    HIGH_INTENT = "high_intent"  # was close to buying
    LAPSED_BUYER = "lapsed_buyer"  # bought, and stopped
    LOW_ENGAGEMENT = "low_engagement"  # none of these: did little


class DecisionReason(StrEnum):
    """Why a due message was not sent now."""

    OUTSIDE_SEND_WINDOW = "outside_send_window"
    TIME_ZONE_UNKNOWN = "time_zone_unknown"
    FREQUENCY_CAP = "frequency_cap"
    SHARED_PERSON = "shared_person"  # another lead of the same person is in the campaign
    LOST_ARBITRATION = "lost_arbitration"  # another campaign writes to the person today; `detail` names it
    STOPPED = "stopped"  # a person stopped it by hand: `rekindle stop`
    NOT_APPROVED = "not_approved"  # the run was rejected at its approval; `detail` says by whom
    SUPPRESSED = "suppressed"
    CONSENT_MISSING = "consent_missing"
    NO_REACHABLE_CHANNEL = "no_reachable_channel"  # no address for this step's channel; a later step may have one
    ADDRESS_CHANGED = "address_changed"  # since it was planned; planned again for the new one
    ENTRY_ENDED = "entry_ended"
    EXPIRED = "expired"
    PROVIDER_BUSY = "provider_busy"  # proved not accepted; planned again
    BREAKER_OPEN = "breaker_open"  # the provider account's breaker; tried again after its cool-down
    DAILY_ALLOWANCE = "daily_allowance"  # the account's daily cap or warm-up is spent; tried again the next UTC day
    CONFIGURATION = "configuration"  # our fault; the run stopped, the lead did not change


class StopScope(StrEnum):
    """What a person stops by hand."""

    EVERYTHING = "everything"
    CHANNEL = "channel"
    PROVIDER = "provider"
    CAMPAIGN = "campaign"


class StopMode(StrEnum):
    """How it is stopped."""

    HOLD = "hold"  # nobody enters, moves, is planned for or written to; everybody keeps their place
    DRAIN = "drain"  # nobody enters; those in flight go on
    CANCEL = "cancel"  # nobody enters, and who is in flight ends `cancelled`


class ErrorClass(StrEnum):
    """What a provider's refusal means; the table `provider_errors` maps codes to it."""

    PERMANENT = "permanent"  # this address, for good
    TRANSIENT = "transient"  # proved not accepted; the same message may be planned again
    AMBIGUOUS = "ambiguous"  # may have been accepted
    CONFIGURATION = "configuration"  # ours to mend; stop the run


class LineType(StrEnum):
    """Twilio Lookup v2 `line_type_intelligence.type`."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    FIXED_VOIP = "fixedVoip"
    NON_FIXED_VOIP = "nonFixedVoip"
    TOLL_FREE = "tollFree"
    PERSONAL = "personal"
    PREMIUM = "premium"
    VOICEMAIL = "voicemail"
    SHARED_COST = "sharedCost"
    UAN = "uan"
    PAGER = "pager"
    UNKNOWN = "unknown"
