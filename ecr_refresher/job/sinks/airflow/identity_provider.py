"""OAuth 2.0 client credentials (RFC 6749, section 4.4): a bearer token from an identity provider."""

import base64
from urllib.parse import quote_plus

from .... import logs
from ....core.model import Failed, Reason, Secret
from ....core.plan import Client
from .answers import Answer, failure
from .transport import Transport

SPARE_S = 60.0  # a token is not used in its last minute
LIFE_S = 3600.0  # of a token whose answer does not say it
LIFE_MAX_S = 1e9

# The errors of RFC 6749, section 5.2: only these are ever quoted from an answer.
_ERRORS = ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type")
_OF_TARGET = ("invalid_scope", "invalid_target")


def fetch(transport: Transport, client: Client, secret: Secret, place: str) -> tuple[Secret, float]:
    """Fetch a bearer token at `token_url`, where `transport` leads, and for how many seconds it is to be used.

    `place` names where the secret comes from. The client names itself by Basic, as the standard has it; where the
    provider does not understand that, in the body. Raises Failed.
    """
    wanted = {"scope": client.scope, "audience": client.audience}
    form = {"grant_type": "client_credentials"} | {name: text for name, text in wanted.items() if text is not None}
    login = f"{quote_plus(client.id)}:{quote_plus(secret.reveal())}"
    basic = logs.hide(Secret(f"Basic {base64.b64encode(login.encode()).decode()}"))
    answer = transport.request("POST", "", form=form, authorization=basic)
    if _code(answer) in ("invalid_client", "invalid_request") and not answer.wants_basic:
        form |= {"client_id": client.id, "client_secret": secret.reveal()}
        answer = transport.request("POST", "", form=form)
    if answer.done and (text := answer.fields.get("access_token")):
        expires_in = answer.fields.get("expires_in")
        life_s = float(expires_in) if isinstance(expires_in, int | float) and 0 < expires_in < LIFE_MAX_S else LIFE_S
        return logs.hide(Secret(text), logs.SHORTEST_TOKEN), max(life_s - SPARE_S, life_s / 2)
    raise _refusal(transport.who, client, answer, place)


def _code(answer: Answer) -> str:
    found = answer.fields.get("error") or ""
    return found if found in (*_ERRORS, *_OF_TARGET) else ""


def _refusal(who: str, client: Client, answer: Answer, place: str) -> Failed:
    code = _code(answer)
    if code == "invalid_client" or (answer.refused(401) and not code):
        message = f"{who} refuses the client {client.id} with the secret in {place} ({code or answer.status})"
        return Failed(Reason.DENIED, message, "Correct client_id or the client secret", login_refused=True)
    if code in _OF_TARGET:
        named = "scope" if code == "invalid_scope" else "audience"
        message = f"{who} refuses the {named} of the client {client.id} ({code})"
        return Failed(Reason.INVALID, message, f"Correct {named}, or allow it to the client at the identity provider")
    if code:
        message = f"{who} gives the client {client.id} no token ({code})"
        return Failed(Reason.DENIED, message, "Allow the client the grant client_credentials at the identity provider")
    if answer.done:
        return Failed(Reason.INVALID, f"{who} answered without an access_token", "Correct token_url")
    return failure(who, "the client's login", answer)
