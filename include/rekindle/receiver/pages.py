"""The few pages a person sees. They work without JavaScript, load nothing from anywhere and are readable on a phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE

TEMPLATES = Path(__file__).parent / "templates"

#: On every answer behind a link: nobody stores it, and the next site does not learn the token.
PRIVATE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


class Pages:
    """Renders pages in the sender's name."""

    def __init__(self, sender_name: str = "") -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = (TEMPLATES / "style.css").read_text()
        # The CSS is our own file and goes in unescaped; its hash is what the policy lets through.
        self._templates.globals.update(style=Markup(style), sender_name=sender_name)  # noqa: S704
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            **PRIVATE_HEADERS,
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none';"
                " frame-ancestors 'none'"
            ),
        }

    def respond_try_again(self, fields: Sequence[tuple[str, str]]) -> Response:
        """The page that sends the same form once more."""
        return self.respond("try_again.html", HTTP_503_SERVICE_UNAVAILABLE, fields=fields)

    def respond(self, template: str, status_code: int, **values: object) -> Response:
        """The page as an answer, with the headers that keep it private."""
        page = self._templates.get_template(template).render(**values)
        return Response(page, status_code, self._headers, media_type="text/html")
