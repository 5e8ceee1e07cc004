"""What an API accepts of this issuer, as `token explain` and the token inspector judge by it."""

from issuer.profile import PROFILES
from resource_api.config import ResourcePolicy
from resource_api.profiles import RFC9068, TokenProfile
from watchword.settings import Settings


def make_token_policy(
    settings: Settings, *, resource: str | None = None, profile: TokenProfile = RFC9068
) -> ResourcePolicy:
    """Make the policy by which a token is explained: `WATCHWORD_PROFILE` narrows it.

    Args:
        settings: all settings, checked.
        resource: the API that is to accept the token; the one of the settings if left out.
        profile: what tokens of the issuer look like.

    Raises:
        ValueError: no token of the profile can have this resource as its audience.
    """
    rules = PROFILES[settings.profile]
    return ResourcePolicy(
        issuer=settings.issuer,
        resource=settings.default_resource if resource is None else resource,
        profile=profile,
        allow_insecure_http=settings.allow_insecure_http,
        algorithms=tuple(rules.token_algorithms),
        binding_required="any" if rules.only_bound else "",
    )
