"""Errors of the Hub and of the way to it: names, access, connections. Each function is a rule of `hub_errors`."""

from __future__ import annotations

from hfmemdebug.data.hub_trouble import Trouble
from hfmemdebug.errors import AccessError, HfmemdebugError, InputError, NetworkError

_TIMEOUTS = {"TimeoutException", "Timeout", "TimeoutError", "ServerTimeoutError"}
_UNREACHABLE = {"ConnectError", "ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "ProxyError"}
_BROKEN = {
    "RemoteProtocolError",
    "ReadError",
    "NetworkError",
    "ChunkedEncodingError",
    "ProtocolError",
    "IncompleteRead",
    "ClientPayloadError",
    "ServerDisconnectedError",
    "ConnectionResetError",
    "XetDownloadError",
}


def offline(t: Trouble) -> HfmemdebugError | None:
    """The user forbade the network."""
    if not t.has("OfflineModeIsEnabled"):
        return None
    return NetworkError(
        f"offline mode is set and '{t.repo}' is not in the cache",
        next="Unset HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) to let it be downloaded.",
    )


def gated(t: Trouble) -> HfmemdebugError | None:
    """Gated, with no token or with one that has no access."""
    if not (t.has("GatedRepoError") or t.says("is a gated dataset")):
        return None
    if t.status() == 401 or t.says("You must be authenticated"):
        return AccessError(
            f"'{t.repo}' is gated and no token was given",
            next=f"Ask for access at {t.page}, then give a token: `hf auth login`, HF_TOKEN or --token.",
        )
    return AccessError(
        f"'{t.repo}' is gated and the token {t.token_source or 'given'} has no access to it",
        next=f"Ask for access at {t.page} and try again once it is granted.",
    )


def revision(t: Trouble) -> HfmemdebugError | None:
    """No such revision."""
    if not (t.has("RevisionNotFoundError") or (t.spec.revision and t.says("Revision '"))):
        return None
    return InputError(
        f"'{t.repo}' has no revision '{t.spec.revision or 'main'}'",
        next=f"Its branches and tags are listed at {t.page}/tree/main; without --revision, main is taken.",
    )


def disabled(t: Trouble) -> HfmemdebugError | None:
    """Switched off by the Hub."""
    if not (t.has("DisabledRepoError") or t.says("Access to this resource is disabled")):
        return None
    return AccessError(f"the Hub has disabled '{t.repo}'", next=f"Its page may say why: {t.page}")


def bad_name(t: Trouble) -> HfmemdebugError | None:
    """No name that the Hub could have."""
    if not t.has("HFValidationError", "HfUriError"):
        return None
    return InputError(
        f"'{t.spec.dataset}' is no file or folder here and no name that a dataset on the Hub can have",
        next="Names on the Hub read user/name.",
    )


def missing(t: Trouble) -> HfmemdebugError | None:
    """Missing, or private and not shown."""
    if t.found or not t.has("RepositoryNotFoundError", "DatasetNotFoundError"):
        return None
    source = t.token_source
    advice = (
        f"if it is private, the token {source} does not let you see it"
        if source
        else "if it is private, give a token: `hf auth login`, HF_TOKEN or --token"
    )
    return InputError(
        f"there is no dataset '{t.repo}' on the Hub, and no file or folder of that name here",
        next=f"Check the spelling (user/name); {advice}.",
    )


def refused(t: Trouble) -> HfmemdebugError | None:
    """The Hub answered with an error."""
    status = t.status()
    if status == 401:
        source = t.token_source
        return AccessError(
            f"the Hub did not accept the token {source or 'that was sent'} (status 401)",
            next="Make a new one at https://huggingface.co/settings/tokens, or unset it: public datasets need none.",
        )
    if status == 403:
        return AccessError(
            f"the Hub does not let you read '{t.repo}' (status 403)",
            next="The token needs the permission to read datasets: https://huggingface.co/settings/tokens",
        )
    if status == 429:
        return NetworkError(
            "the Hub answers that there were too many requests (status 429)",
            next="Wait a few minutes; with a token (HF_TOKEN) more is allowed.",
        )
    if status is not None and status >= 500:
        return NetworkError(
            f"the Hub failed on '{t.repo}' (status {status})",
            next="Try again in a few minutes; https://status.huggingface.co says whether it is down.",
        )
    return None


def not_a_hub(t: Trouble) -> HfmemdebugError | None:
    """Something else answered."""
    # Later, bad JSON is in a data file or in the cache.
    page = t.has("JSONDecodeError") and not t.found
    if not (page or t.has("FileMetadataError")):
        return None
    from huggingface_hub import constants

    return NetworkError(
        f"what answers at {constants.ENDPOINT} is not the Hub: a login page of this network, or a proxy",
        next="Open any page in a browser and log in to the network, or check HF_ENDPOINT and the proxy settings.",
    )


def short(t: Trouble) -> HfmemdebugError | None:
    """A file ended too early."""
    if not t.says("Consistency check failed"):
        return None
    return NetworkError(
        f"a file of '{t.repo}' ended before its full size was there",
        next="Try again: what has arrived is kept and the rest is fetched.",
    )


def network(t: Trouble) -> HfmemdebugError | None:
    """No connection, or one that broke."""
    from huggingface_hub import constants

    if t.has(*_TIMEOUTS) and not t.has(*_UNREACHABLE):
        return NetworkError(
            f"the Hub stopped answering while '{t.repo}' was read",
            next="Try again: whole files that have arrived are kept. HF_HUB_DOWNLOAD_TIMEOUT=60 waits longer.",
        )
    if t.has(*_UNREACHABLE) or (t.has("ConnectionError") and not t.has(*_BROKEN)):
        return NetworkError(
            f"the Hub cannot be reached at {constants.ENDPOINT}",
            next="Check the network and the proxy settings; datasets on this machine need no network.",
        )
    if t.has(*_BROKEN):
        return NetworkError(
            f"the connection broke while '{t.repo}' was read",
            next="Try again: whole files that have arrived are kept.",
        )
    return None
