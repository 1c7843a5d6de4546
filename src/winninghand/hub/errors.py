"""What the hub's library raises, in one line: what is wrong and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from winninghand.base.errors import InputError, shown

# What comes of an answer that is none of a hub, as of a page that a network puts before all others.
_NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
LOG_IN = "log in by 'hf auth login', or set HF_TOKEN"


@contextmanager
def told(place: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the hub's library raises in the block into `InputError`; `place` is what was asked for."""
    try:
        yield
    except InputError:
        raise
    # The library passes on whatever its network library raises, which changes with its version.
    except Exception as error:
        raise InputError(f"{place}: {_reason(error, revision)}") from error


def is_unreachable(error: Exception) -> bool:
    """Tell whether the hub gave no answer, or was in trouble, so that its cache may stand for it."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError):
        return True
    if isinstance(error, HfHubHTTPError):
        return _status(error) >= 500
    return not isinstance(error, InputError | HFValidationError) and not _is_of_disk(error)


def _reason(error: Exception, revision: str | None) -> str:
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            return f"it is gated; ask for access on its page, and {LOG_IN}"
        case errors.RepositoryNotFoundError():
            return f"there is no such repository, or it is private; check the name, or {LOG_IN}"
        case errors.RevisionNotFoundError():
            return f"it has no revision {revision or 'main'}; give another one, or none for the newest"
        case errors.DisabledRepoError():
            return "the hub has disabled it; take another one"
        case errors.EntryNotFoundError() if not is_unreachable(error):
            return "it does not hold that file; see its page for those that it holds"
        case errors.HFValidationError():
            return "the hub takes no such name; give OWNER/NAME"
        case errors.HfHubHTTPError() if _status(error) == 401:
            return f"the hub does not take the token; {LOG_IN}"
        case errors.HfHubHTTPError() if _status(error) == 403:
            return "the token does not permit this; give one that may write there, or another OWNER"
        case errors.HfHubHTTPError() if not is_unreachable(error):
            return f"the hub refuses it ({_first_line(error)})"
    if _is_of_disk(error):
        return f"its file cannot be kept ({_first_line(error)}); make room, or set HF_HOME to another folder"
    if isinstance(error, _NO_ANSWER) and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"the answer is none of a hub ({_first_line(error)}); check the network and HF_ENDPOINT"
    if isinstance(error, errors.HfHubHTTPError):
        return f"the hub is in trouble ({_first_line(error)}); try again later"
    mend = "check HF_ENDPOINT and the network" if "HF_ENDPOINT" in os.environ else "check the network"
    return f"the hub cannot be reached ({_first_line(error)}); {mend}"


def _is_of_disk(error: Exception) -> bool:
    """Tell whether an error is of files and not of the network, which are both `OSError`."""
    return isinstance(error, OSError) and bool(error.filename)


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return shown(text or type(error).__name__).rstrip(".")
