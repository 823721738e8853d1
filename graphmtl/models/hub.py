"""The Hugging Face Hub, which is asked once before anything is loaded from it."""

from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

from graphmtl.errors import InputError

__all__ = ["in_cache_alone"]

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
        why = error.__cause__ or error
        cache = cache_dir or constants.HF_HUB_CACHE
        raise InputError(
            f"there is no folder {name!r}, nothing of that name in the cache {cache}, and the Hugging Face Hub "
            f"({constants.ENDPOINT}) was asked in vain: {type(why).__name__}: {' '.join(str(why).split())[:300]}"
        ) from None
    return False
