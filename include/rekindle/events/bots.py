"""Tells software from people by what it calls itself (a plain, reviewed list) and by the link no person can see.

A wrong "not human" costs a sign of life, a wrong "human" stops a journey: so only names that no browser a person clicks
with carries. Corporate gateways rewrite links without changing the user agent; those are told apart later, by timing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urldefrag

#: Ends the address of an e-mail's invisible link: a place of ours like every other, so that following it leads home.
HONEYPOT_FRAGMENT = "rk-unseen"

_SOFTWARE = re.compile(
    "|".join(
        (
            # crawlers and everything that says so; CUBOT is a make of phone
            r"(?<!cu)bot\b",
            r"bot/",
            r"crawl",
            r"spider",
            r"slurp",
            r"mediapartners-google",
            # link previews of messengers and networks
            r"preview",
            r"facebookexternalhit",
            r"facebookcatalog",
            r"^whatsapp/",
            r"^snapchat/",
            r"skypeuripreview",
            r"embedly",
            r"iframely",
            # mail gateways and link scanners
            r"barracuda",
            r"proofpoint",
            r"ciscosecureemail",
            r"ironport",
            r"mimecast",
            r"\btmes\b",
            r"fortiguard",
            r"symantec",
            r"msoffice",  # Defender and Outlook fetch under this name; a click opens the browser, which has its own
            r"google-safety",
            r"urlscan",
            r"virustotal",
            r"zscaler",
            # image proxies of mailboxes
            r"googleimageproxy",
            r"yahoomailproxy",
            # HTTP libraries and headless browsers
            r"^curl/",
            r"^wget/",
            r"python-requests",
            r"python-urllib",
            r"^python/",
            r"aiohttp",
            r"^httpx/",
            r"^python-httpx",
            r"go-http-client",
            r"^java/",
            r"apache-httpclient",
            r"libwww-perl",
            r"^axios/",
            r"node-fetch",
            r"^undici",
            r"^okhttp/",
            r"^ruby",
            r"guzzlehttp",
            r"headless",
            r"phantomjs",
            r"puppeteer",
            r"playwright",
            r"selenium",
            r"lighthouse",
        )
    )
)


@lru_cache(maxsize=4096)
def is_software(user_agent: str) -> bool:
    """True for an empty user agent (Defender sends none) and for one that names a scanner, a preview or a library."""
    name = user_agent.strip().lower()
    return not name or _SOFTWARE.search(name) is not None


def honeypot_of(destination: str) -> str:
    """Where the invisible link of a message leads, whose visible ones lead to `destination`."""
    return f"{urldefrag(destination).url}#{HONEYPOT_FRAGMENT}"


def is_honeypot(destination: str) -> bool:
    """Whether a followed link was the invisible one: no person saw it, so no person clicked."""
    return urldefrag(destination).fragment == HONEYPOT_FRAGMENT
