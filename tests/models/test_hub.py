import pytest

from graphmtl.errors import InputError
from graphmtl.models import hub


@pytest.fixture
def cache(tmp_path):
    """A cache of the Hub that holds our/model."""
    repository = tmp_path / "cache" / "models--our--model"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    return tmp_path / "cache"


@pytest.fixture
def answer(monkeypatch):
    """Lets the Hub answer, or not; what it was asked."""
    asked = []

    def answer(error=None):
        def metadata(url, **options):
            asked.append((url, options))
            if error is not None:
                raise error

        monkeypatch.setattr(hub, "get_hf_file_metadata", metadata)
        return asked

    return answer


def test_the_hub_is_asked_for_the_same_version_with_the_same_rights(cache, answer):
    asked = answer()
    assert not hub.in_cache_alone("our/model", cache_dir=cache, token="secret", revision="v2")
    ((url, options),) = asked
    assert "/our/model/resolve/v2/config.json" in url
    assert options["token"] == "secret"
    assert 0 < options["timeout"] <= 30  # seconds, or a machine without a network waits


def test_what_is_on_the_hub_and_in_the_cache_may_be_newer_there(cache, answer):
    answer()
    assert not hub.in_cache_alone("our/model", cache_dir=cache)


def test_what_is_in_the_cache_of_a_hub_that_does_not_answer(cache, answer):
    asked = answer(OSError("no route to host"))
    assert hub.in_cache_alone("our/model", cache_dir=cache)
    assert len(asked) == 1


def test_what_is_nowhere_is_named_with_the_places_and_the_reason(cache, answer):
    fault = OSError("not\nfound")
    fault.__cause__ = TimeoutError("no answer\n  in time " + 4000 * "x")
    answer(fault)
    with pytest.raises(InputError) as error:
        hub.in_cache_alone("our/other", cache_dir=cache)
    said = str(error.value)
    assert said.startswith(f"there is no folder 'our/other', nothing of that name in the cache {cache}, and the ")
    assert "was asked in vain: TimeoutError: no answer in time xxx" in said
    assert "\n" not in said
    assert len(said) < 700


def test_what_can_be_no_name_on_the_hub_is_not_asked_for(cache, answer):
    asked = answer()
    with pytest.raises(InputError, match=r"there is no folder '\./none/of/it'"):
        hub.in_cache_alone("./none/of/it", cache_dir=cache)
    assert asked == []
