"""One flow for all objects of a process that were made with the same settings."""

import os
from dataclasses import dataclass
from weakref import WeakKeyDictionary, ref

from consumer.flow import TokenFlow


@dataclass(frozen=True)
class _Settings:
    """What a flow is shared under. The flow alone keeps it: a sink may lead back to the flow."""

    values: tuple[object, ...]


_flows: WeakKeyDictionary[_Settings, ref[TokenFlow]] = WeakKeyDictionary()


def share(flow: TokenFlow, *settings: object) -> TokenFlow:
    """Return the flow that was shared under the same plan and settings, or else share this one.

    It is shared for as long as an object uses it. The client's secret is part of the plan: who does
    not know it gets no token that was got with it. There is no lock, for which a forked child could
    wait for ever: at worst, two objects that are made at the same moment ask for a token each.

    Args:
        flow: a new one.
        settings: what else has to be the same; nothing is shared if one cannot be hashed, or if the
            client's method inherits how it is compared.
    """
    method = type(flow.plan.auth)
    if "__eq__" not in vars(method) and method.__eq__ is not object.__eq__:
        return flow  # it may ask for more than the class compares that it inherits from
    key = _Settings((os.getpid(), flow.plan, *settings))
    try:
        known = _flows.get(key)
    except TypeError:
        return flow
    found = None if known is None else known()
    if found is None:
        flow.shared_under, _flows[key] = key, ref(flow)
    return found or flow
