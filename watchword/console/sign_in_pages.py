"""The pages before a session: the sign-in form, what it posts, and the way out."""

import secrets
from dataclasses import dataclass
from typing import Final

from issuer.endpoints.asgi import Headers
from issuer.errors import InvalidClient, OAuthError, Reason, TooManyRequests, UnauthorizedClient
from issuer.events import EventSink
from watchword.ambient import wall_clock
from watchword.console.guard import SessionGuard, SetCookie
from watchword.console.reasons import ConsoleReason
from watchword.console.request import Form, Page, Redirect
from watchword.console.sessions import Session, Visit, choose_next, is_csrf
from watchword.console.sign_in import LinkRefused, SignIn

SHOW: Final = "/sign-in"
BY_CODE: Final = "/sign-in/code"
LEAVE: Final = "/sign-out"

# RFC 9110 §15.5.2 asks for a challenge; browsers would ask for a password of their own to Basic.
_CHALLENGE = (b"www-authenticate", b'Form realm="console"')

_NOT_PLAIN = "a client whose tokens are bound to a key or a certificate cannot sign in here"
_HINDRANCES = {
    Reason.GRANT_NOT_ALLOWED: "the client may not use the grant type client_credentials",
    Reason.DPOP_REQUIRED: _NOT_PLAIN,
    Reason.CERTIFICATE_REQUIRED: _NOT_PLAIN,
    Reason.AUTH_METHOD_NOT_TAKEN: "the administration takes no client that authenticates so",
    Reason.NOTHING_GRANTED: "the client holds no administration scope",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is answered.

    Args:
        result: a page, or where to go on.
        cookies: headers that set or remove some.
    """

    result: Page | Redirect
    cookies: tuple[SetCookie, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What the sign-in form is shown with.

    Args:
        onward: the path to go on to after sign-in, whoever wrote it.
        client_id: what was typed.
        signed_in: who is signed in already; None if nobody is.
        mistake: why it was refused; None if nothing was tried.
        status: of the answer.
        headers: further ones.
    """

    onward: str
    client_id: str = ""
    signed_in: str | None = None
    mistake: str | None = None
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class SignInPages:
    """Answers the requests that begin and end a session.

    Args:
        base: the path of the console.
        guard: reads and writes the cookies.
        sign_in: turns what is shown into a session.
        events: where `console.signed_in`, `console.signed_out` and `console.refused` go.
    """

    def __init__(
        self, base: str, guard: SessionGuard, sign_in: SignIn, *, events: EventSink
    ) -> None:
        self._base = base
        self._guard = guard
        self._sign_in = sign_in
        self._events = events

    async def show(self, headers: Headers, attempt: Attempt) -> Outcome:
        """Show the form, for a visit that goes on or begins."""
        visit = await self._guard.find_visit(headers)
        visit = visit or Visit.begin(now=wall_clock(), random_bytes=secrets.token_bytes)
        methods = self._sign_in.authenticator.methods
        context = {
            "csrf": visit.csrf,
            "onward": choose_next(attempt.onward, self._base),
            "client_id": attempt.client_id,
            "signed_in": attempt.signed_in,
            "mistake": attempt.mistake,
            "takes_secrets": any(method.sends_secret for method in methods),
        }
        page = Page(
            template="sign-in.html",
            context=context,
            status=attempt.status,
            headers=attempt.headers,
        )
        return Outcome(result=page, cookies=await self._guard.keep_visit(visit))

    async def by_secret(self, headers: Headers, form: Form, *, address: str | None) -> Outcome:
        """Sign in with the id and the secret of a client."""
        client_id, onward = form.get("client_id"), form.get("next")
        if refused := await self._refuse_stale(headers, form):
            return refused
        try:
            session = await self._sign_in.by_secret(
                client_id, form.get("client_secret"), address=address, now=wall_clock()
            )
        except (InvalidClient, TooManyRequests, UnauthorizedClient) as error:
            self._events("console.refused", reason=error.reason, client_id=error.client_id)
            return await self.show(headers, _explain(error, onward, client_id))
        return await self._begin(headers, session, onward)

    async def by_code(self, headers: Headers, form: Form) -> Outcome:
        """Sign in with the code of a link."""
        onward = form.get("next")
        if refused := await self._refuse_stale(headers, form):
            return refused
        # The whole link is as good as its code.
        code, seal = form.get("code").rpartition("#")[2].strip(), await self._guard.seal()
        try:
            session = await self._sign_in.by_code(code, seal, now=wall_clock())
        except LinkRefused:
            self._events("console.refused", reason=ConsoleReason.LINK_REFUSED)
            mistake = (
                "This link was used before or is older than a minute, or was made with another data"
                " folder. Run “watchword console” again, with the settings of this server."
            )
            return await self.show(headers, Attempt(onward=onward, mistake=mistake, status=403))
        return await self._begin(headers, session, onward)

    async def leave(self, session: Session) -> Outcome:
        """End a session everywhere.

        Raises:
            StoreUnavailable: only its cookie can be removed; a copy of that counts until it ends.
        """
        await self._sign_in.end(session)
        self._events("console.signed_out", **_named(session))
        shown = Redirect(path=SHOW, notice="signed-out")
        return Outcome(result=shown, cookies=self._guard.forget_session())

    async def _begin(self, headers: Headers, session: Session, onward: str) -> Outcome:
        """Begin a session, and end the one that the browser has."""
        if (former := await self._guard.find_session(headers)) is not None:
            await self.leave(former)
        self._events("console.signed_in", **_named(session), secret_id=session.credential_id)
        path = choose_next(onward, self._base).removeprefix(self._base)
        cookies = await self._guard.keep_session(session)
        return Outcome(result=Redirect(path=path), cookies=cookies)

    async def _refuse_stale(self, headers: Headers, form: Form) -> Outcome | None:
        """Show the form anew if it was not this visit's."""
        visit = await self._guard.find_visit(headers)
        if visit is not None and is_csrf(form.get("csrf"), visit.csrf):
            return None
        self._events("console.refused", reason=ConsoleReason.FORM_OUTDATED)
        mistake = "The form was open for too long, or your browser keeps no cookies. Try again."
        return await self.show(
            headers,
            Attempt(
                onward=form.get("next"),
                client_id=form.get("client_id"),
                mistake=mistake,
                status=403,
            ),
        )


def _named(session: Session) -> dict[str, object]:
    """Name who signed in, as the audit trail does."""
    if session.is_user:
        return {"actor": session.name}
    return {"client_id": session.name}


def _explain(error: OAuthError, onward: str, client_id: str) -> Attempt:
    headers = tuple(error.headers)
    match error:
        case TooManyRequests():
            mistake = "Too many attempts have failed. Wait a minute, then try again."
        case InvalidClient():
            headers = (_CHALLENGE,)
            mistake = "There is no such client, or it has another secret."
        case _:
            why = _HINDRANCES[error.reason]
            mistake = f"The secret is right, but {why}."
    status = 403 if isinstance(error, UnauthorizedClient) else error.status
    return Attempt(
        onward=onward, client_id=client_id, mistake=mistake, status=status, headers=headers
    )
