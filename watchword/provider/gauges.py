"""What is measured of the issuer whenever the metrics are asked for; reads memory alone."""

from collections import Counter
from collections.abc import Iterator
from math import isfinite

from keys.ring import KeyState
from watchword.metrics import Series
from watchword.provider.issuer import IssuerApp


def measure_issuer(issuer: IssuerApp, now: int) -> Iterator[tuple[Series, float]]:
    """Measure one worker's part.

    Args:
        issuer: of this worker.
        now: seconds since the epoch.
    """
    yield ("watchword_signing_queue",), issuer.keys.waiting
    yield ("watchword_client_view_size",), len(issuer.view)
    yield ("watchword_client_view_misses_total",), issuer.view.misses
    for outcome, count in issuer.authentication.replays.outcomes.items():
        yield ("watchword_replay_claims_total", outcome), count
    yield ("watchword_registry_up",), issuer.store_answers()
    yield ("watchword_registry_change_lag_seconds",), issuer.follower.lag
    states = Counter(entry.state for entry in issuer.keys.entries(now))
    for state in KeyState:
        yield ("watchword_keys", state.value), states[state]
    if isfinite(step := issuer.keys.next_step(now)):
        yield ("watchword_key_next_step_seconds",), step - now
    if issuer.secrets_ending is not None:
        yield ("watchword_secrets_ending_30d",), issuer.secrets_ending
    if issuer.statuses.lists.as_of is not None:
        yield ("watchword_status_list_age_seconds",), max(0, now - issuer.statuses.lists.as_of)
