"""Unit tests of `issuer.registration.endpoint`, beside the conformance tests."""

from pathlib import Path

from tests.support.registration import JSON, bearer, open_reception


async def test_somebody_who_leaves_gets_no_answer_and_no_client(tmp_path: Path) -> None:
    """Nobody is there to be told a secret; nothing was refused or registered."""
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    with open_reception(tmp_path) as reception:
        headers = [bearer(reception.token(uses=1)), JSON]
        reception.events.clear()
        scope = {"type": "http", "method": "POST", "path": "/register", "headers": headers}
        await reception.endpoint.registrations(scope, receive, send)
        assert (sent, reception.events, reception.registry.list_clients()) == ([], [], [])
