"""One flow for all objects of a process that were made with the same settings."""

import os
from weakref import ref

from consumer.flow import TokenFlow

_flows: dict[object, ref[TokenFlow]] = {}


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
    key = (os.getpid(), flow.plan, *settings)
    try:
        known = _flows.get(key)
    except TypeError:
        return flow
    found = None if known is None else known()
    if found is not None:
        return found

    def forget(ended: ref[TokenFlow]) -> None:
        if _flows.get(key) is ended:
            del _flows[key]

    _flows[key] = ref(flow, forget)
    return flow
