"""The door for the company's own sign-up forms. The caller learns whether the form was right, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.status import HTTP_202_ACCEPTED, HTTP_400_BAD_REQUEST, HTTP_401_UNAUTHORIZED

from rekindle.events.opt_ins import OptInForm, faults_of, read_opt_in
from rekindle.identity import address_hash, stable_id
from rekindle.receiver.api import OPT_IN_RESPONSES, described_call
from rekindle.receiver.reception import Reception, read_body
from rekindle.receiver.write_keys import CHALLENGE, WriteKeys
from rekindle.tokens import ConfirmToken, TokenSigner
from rekindle.vocabulary import Stream

LONGEST_FORM = 16 * 1024  # bytes


@dataclass(frozen=True)
class _Minter:
    """Makes what confirms one form."""

    reception: Reception
    tokens: TokenSigner

    def token_of(self, form: OptInForm, body: bytes) -> dict[str, str]:
        """The form's id, and for a double opt-in the token that each channel's message must carry."""
        now = self.reception.clock.now()
        opt_in_id = stable_id("opt_in", body.hex(), now.isoformat())
        minted = {"opt_in_id": opt_in_id}
        if not form.double_opt_in:
            return minted
        for channel in form.channels:
            hashed = address_hash(form.address(channel))
            topics = ",".join(form.topics)
            minted[f"{channel}_confirm_token"] = self.tokens.confirm(
                ConfirmToken(opt_in_id, hashed, channel, topics, form.wording_version, now.date())
            )
        return minted


def opt_in_router(reception: Reception, tokens: TokenSigner, write_keys: WriteKeys) -> APIRouter:
    """POST /v1/leads."""
    router = APIRouter(prefix="/v1", tags=["sign-ups"])
    minter = _Minter(reception, tokens)

    @router.post(
        "/leads",
        operation_id="leads",
        summary="One sign-up of a form, with the consent it carries",
        status_code=HTTP_202_ACCEPTED,
        responses=OPT_IN_RESPONSES,
        openapi_extra=described_call("leads"),
    )
    async def take_form(request: Request) -> Response:
        stream = Stream.OPT_INS
        if not write_keys.know_header(request.headers.get("authorization", "")):
            reception.count(stream, "write_key_refused")
            return JSONResponse({"success": False}, HTTP_401_UNAUTHORIZED, CHALLENGE)
        body = await read_body(request, LONGEST_FORM)
        try:
            form = read_opt_in(body)
        except ValidationError as error:
            reception.count(stream, "form_refused")
            return JSONResponse({"success": False, "errors": faults_of(error)}, HTTP_400_BAD_REQUEST)
        except (ValueError, RecursionError):
            reception.count(stream, "not_json")
            return JSONResponse({"success": False, "message": "the body is not a JSON object"}, HTTP_400_BAD_REQUEST)
        await reception.land(stream, request, body, token=minter.token_of(form, body))
        return JSONResponse({"success": True}, HTTP_202_ACCEPTED)

    return router
