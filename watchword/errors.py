"""Why the provider cannot run or go on; the text of each is one clear line for the operator."""


class ProviderError(Exception):
    """The provider cannot do what it was asked to."""


class DataFolderError(ProviderError):
    """The data folder cannot be made or used."""


class AddressUnavailable(ProviderError):
    """The address cannot be listened on."""
