"""Why something of a file was not taken as it came, and how to mend it."""

from __future__ import annotations

from enum import StrEnum


class RejectReason(StrEnum):
    """One word per fault. In a required column it rejects the row; in an optional one it empties the cell."""

    EMPTY_VALUE = "empty_value"  # a required cell is blank
    UNPARSABLE_TIME = "unparsable_time"  # not a time we read, or before 1970
    IN_THE_FUTURE = "in_the_future"  # later than the instant the run acts as of
    UNKNOWN_USER_ID = "unknown_user_id"  # not in the leads file
    DUPLICATE_ID = "duplicate_id"  # the id was used by an earlier row, which is kept
    WRONG_NUMBER_OF_CELLS = "wrong_number_of_cells"  # the line does not fit the header
    BROKEN_QUOTING = "broken_quoting"  # text stands after a closing quote
    MALFORMED_JSON = "malformed_json"  # not a JSON object
    MALFORMED_EMAIL = "malformed_email"
    MALFORMED_PHONE = "malformed_phone"
    UNKNOWN_TIME_ZONE = "unknown_time_zone"  # not a name of the IANA database
    ENDS_BEFORE_IT_BEGINS = "ends_before_it_begins"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_CHANNEL = "unknown_channel"  # neither e-mail nor text


REMEDIES: dict[RejectReason, str] = {
    RejectReason.EMPTY_VALUE: "fill the cell",
    RejectReason.UNPARSABLE_TIME: (
        "write 2024-05-31, 2024-05-31T18:00:00Z (no zone means UTC), or the epoch in seconds or milliseconds; "
        "nothing before 1970 is taken"
    ),
    RejectReason.IN_THE_FUTURE: "correct the time, or run as of a later day",
    RejectReason.UNKNOWN_USER_ID: "add the user to the leads file, or correct the id",
    RejectReason.DUPLICATE_ID: "give each row its own id; the first row with this id was kept",
    RejectReason.WRONG_NUMBER_OF_CELLS: "give the line as many cells as the header; quote those that hold a separator",
    RejectReason.BROKEN_QUOTING: 'double every quote inside a quoted cell: "say ""hi"""',
    RejectReason.MALFORMED_JSON: 'write a JSON object, for example {"plan": "basic"}',
    RejectReason.MALFORMED_EMAIL: "correct the address, for example jane@example.com; the lead was kept without it",
    RejectReason.MALFORMED_PHONE: (
        "write the number with + and country code, for example +12125550100, or add a country column; "
        "the lead was kept without it"
    ),
    RejectReason.UNKNOWN_TIME_ZONE: "use an IANA name, for example America/New_York; the lead was kept without it",
    RejectReason.ENDS_BEFORE_IT_BEGINS: "correct the two times; the row was kept without the later one",
    RejectReason.OUT_OF_RANGE: "write a whole number from 1 to 5; the row was kept without it",
    RejectReason.UNKNOWN_CHANNEL: "write email or sms; messages on other channels are not counted, so leave them out",
}
