"""Why the provider cannot run or go on; the text of each is one clear line for the operator."""


class ProviderError(Exception):
    """The provider cannot do what it was asked to."""


class DataFolderError(ProviderError):
    """The data folder cannot be made or used."""


class ClientSealError(ProviderError):
    """The secrets that clients sign with cannot be opened."""


class AddressUnavailable(ProviderError):
    """The address cannot be listened on."""


class BackupError(ProviderError):
    """A backup cannot be written, read or put back."""
