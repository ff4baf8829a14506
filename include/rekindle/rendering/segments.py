"""What a text costs (GSM-7 or UCS-2, units, segments; 3GPP TS 23.038), and how to keep it in GSM-7."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


#: GSM 03.38 basic alphabet (the escape character left out): one septet each.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Its extension table: an escape and a character, two septets.
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = GSM_BASIC | GSM_EXTENSION

_SINGLE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}  # units in a message of one segment
_JOINED = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}  # units a segment when a header joins several

#: Replacement → the characters it stands for: Twilio's Smart Encoding (its message-segment-calculator, MIT)
#: with two differences: every space becomes one space (theirs makes two, and seven of a tab), and the single angle
#: quotes keep their direction. A body encoded here is changed no further on the way, so the preview is what is billed.
_STANDS_FOR = {
    '"': "«»“”ʺˮ‟❝❞〝〞＂„",
    "'": "‘’ʻˈʼʽʹ‛＇´ˊ`ˋ❛❜\u0313\u0314︐︑‗",
    "/": "÷⧸\u0337\u0338⁄∕／",
    "1/4": "¼",
    "1/2": "½",
    "3/4": "¾",
    "\\": "⧹⧵\u20e5﹨＼",
    "_": "\u0332＿",
    "|": "\u20d2\u20d3∣｜⎸⎹⏐⎜⎟",
    "-": "⎼⎽―﹣－‐⁃—–•",
    "@": "﹫＠",
    "$": "﹩＄",
    "!": "ǃ︕﹗！",
    "!!": "‼",
    "#": "﹟＃",
    "%": "﹪％",
    "&": "﹠＆",
    ",": "‚\u0326﹐﹑，､、",
    "(": "❨❪﹙（⟮⦅",
    ")": "❩❫﹚）⟯⦆",
    "*": "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆﹡＊",
    "+": "˖﹢＋",
    ".": "。﹒．｡",
    "...": "…",
    ":": "ː˸⦂꞉︓：",
    ";": "⁏︔﹔；",
    "<": "﹤＜‹",
    "=": "\u0347꞊﹦＝",
    ">": "﹥＞›",
    "?": "︖﹖？",
    "^": "ˆ\u0302＾\u1dcd",
    "{": "❴﹛｛",
    "}": "❵﹜｝",
    "[": "［",
    "]": "］",
    "~": "˜˷\u0303\u0330\u0334∼～",
    " ": "\t\x80\x8d\x90\x9b\x9f\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000",
    "": "\x00\x03\x04\x10\x11\x12\x13\x14\x17\x19\u200b\u2060\ufeff",
}
_FULL_WIDTH = {chr(ord(character) + 0xFEE0): character for character in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ABCDEFGHIJKLMNOPRSTUVWYZ", strict=True))

#: One character → what is sent for it.
SMART_ENCODING: dict[str, str] = {
    **{character: replacement for replacement, characters in _STANDS_FOR.items() for character in characters},
    **_FULL_WIDTH,
    **_SMALL_CAPITALS,
}
_SMART_TABLE = str.maketrans(SMART_ENCODING)


@dataclass(frozen=True, slots=True)
class SmsSize:
    """What a body costs. `units` are septets in GSM-7 and UTF-16 units in UCS-2; a provider bills `segments`."""

    encoding: Encoding
    units: int
    segments: int


def measure(body: str) -> SmsSize:
    """Count units and segments. An escape pair and a surrogate pair never straddle two segments."""
    if _GSM.issuperset(body):
        encoding, sizes = Encoding.GSM_7, [2 if character in GSM_EXTENSION else 1 for character in body]
    else:
        encoding, sizes = Encoding.UCS_2, [2 if ord(character) > 0xFFFF else 1 for character in body]
    units = sum(sizes)
    if units <= _SINGLE[encoding]:
        return SmsSize(encoding, units, 1 if units else 0)
    segments, used = 1, 0
    for size in sizes:
        if used + size > _JOINED[encoding]:
            segments, used = segments + 1, 0
        used += size
    return SmsSize(encoding, units, segments)


def is_gsm7(text: str) -> bool:
    """Whether a text can be sent in GSM-7 as it is."""
    return _GSM.issuperset(text)


def smart_encode(text: str) -> str:
    """Typographic characters as plain ones. Composed first, so that a combining tilde stays on its letter."""
    composed = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return composed if _GSM.issuperset(composed) else composed.translate(_SMART_TABLE)


def fit_to_gsm7(text: str) -> str | None:
    """The text in GSM-7, without accents where it must be (`François` → `Francois`); None if its script can not."""
    encoded = smart_encode(text)
    if _GSM.issuperset(encoded):
        return encoded
    letters = (character if character in _GSM else _without_accents(character) for character in encoded)
    fitted = "".join(letters)
    return fitted if _GSM.issuperset(fitted) else None


#: Letters whose stroke or ligature Unicode does not take apart.
_PLAIN_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "œ": "oe", "Œ": "Oe", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"}
)


def _without_accents(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character)
    return "".join(each for each in decomposed if not unicodedata.combining(each)).translate(_PLAIN_LETTERS)
