"""The Hugging Face Hub, which is asked once before anything is loaded from it, and whose refusals are one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url, try_to_load_from_cache

from graphmtl.errors import InputError

__all__ = ["in_cache_alone", "refusal_is_named"]

_PATIENCE = 10  # seconds in which the Hub must answer


def in_cache_alone(name: str, *, token: Any = None, cache_dir: Any = None, revision: str | None = None, **_) -> bool:
    """Whether what has this name is in the cache of a Hub that does not answer; else it is on the Hub, within reach.

    A library that loads asks again and again, for half a minute.

    Raises:
        InputError: it is in neither; the message says where it was looked for.
    """
    cached = None
    try:
        cached = try_to_load_from_cache(name, "config.json", cache_dir=cache_dir, revision=revision)
        get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision), token=token, timeout=_PATIENCE)
    except Exception as error:  # network and Hub errors, and names that can be none, have no common class
        if isinstance(cached, str):
            return True
        cache = cache_dir or constants.HF_HUB_CACHE
        raise InputError(
            f"there is no folder {name!r}, nothing of that name in the cache {cache}, and the Hugging Face Hub "
            f"({constants.ENDPOINT}) was asked in vain: {_one_line(error.__cause__ or error)}"
        ) from None
    return False


@contextmanager
def refusal_is_named(name: str, *, token: Any = None) -> Iterator[None]:
    """What keeps a model from being put on the Hub is one line.

    Raises:
        InputError: no token, none that may write there, a name that can be none, no answer, ...
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # as above
        hint = "" if token or get_token() else "; no token was found: `hf auth login` keeps one, token=... gives one"
        raise InputError(
            f"{name!r} was not put on the Hugging Face Hub ({constants.ENDPOINT}): {_one_line(error)}{hint}"
        ) from None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
