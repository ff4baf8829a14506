"""Tells software from people by what it calls itself (a plain, reviewed list) and by the link no person can see.

A wrong "not human" costs a sign of life, a wrong "human" stops a journey: so only names that no browser a person clicks
with carries. Corporate gateways rewrite links without changing the user agent; those are told apart by their networks
and by timing.
"""

from __future__ import annotations

import csv
import re
from functools import cache, lru_cache
from urllib.parse import urldefrag

from rekindle.project import project_root

#: Ends the address of an e-mail's invisible link: a place of ours like every other, so that following it leads home.
HONEYPOT_FRAGMENT = "rk-unseen"
#: What the event of such a click has as its detail, where others have the host.
HONEYPOT = "honeypot"

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


def is_scanner_network(address: str | None) -> bool:
    """Whether mail gateways scan from there; `dbt_project/seeds/scanner_signatures.csv` is the reviewed list."""
    return bool(address) and str(address).startswith(_scanner_networks())


@cache
def _scanner_networks() -> tuple[str, ...]:
    path = project_root() / "dbt_project" / "seeds" / "scanner_signatures.csv"
    with path.open(newline="", encoding="utf-8") as rows:
        return tuple(row["pattern"] for row in csv.DictReader(rows) if row["kind"] == "network")


def honeypot_of(destination: str) -> str:
    """Where the invisible link of a message leads, whose visible ones lead to `destination`."""
    return f"{urldefrag(destination).url}#{HONEYPOT_FRAGMENT}"


def is_honeypot(destination: str) -> bool:
    """Whether a followed link was the invisible one: no person saw it, so no person clicked."""
    return urldefrag(destination).fragment == HONEYPOT_FRAGMENT
