import socket

import pytest

from graphmtl.errors import InputError
from graphmtl.models import hub
from graphmtl.models.model import MultiTaskModel
from tests.models.hub_server import COMMIT, TOKEN
from tests.models.hub_server import hub as stand_in
from tests.models.small import build


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


@pytest.fixture
def server(monkeypatch, tmp_path):
    with stand_in(monkeypatch, tmp_path / "hub") as server:
        yield server


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub 2.4 of httpx
def test_what_is_pushed_is_what_is_saved_and_is_loaded_by_its_name(server, tmp_path):
    model = build("star")
    model.scores = {"a": {"examples": 4, "test": {"accuracy": 0.75}, "interval": [0.5, 1.0]}}
    where = model.push_to_hub("our/tasks", token=TOKEN, private=True, commit_message="three tasks")
    assert where == f"{server.address}/our/tasks/commit/{COMMIT}"
    assert (server.name, server.private, server.summary) == ("our/tasks", True, "three tasks")
    model.save_pretrained(tmp_path / "saved")
    assert server.files == {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    loaded = MultiTaskModel.from_pretrained("our/tasks")
    assert loaded.predict(["good film"], "a") == model.predict(["good film"], "a")
    assert loaded.scores == model.scores


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("our/tasks", "hf_wrong", "Invalid username or password"),
        ("theirs/tasks", TOKEN, "You don't have the rights to create a model under theirs"),
        ("our/../tasks", TOKEN, "HFValidationError"),
        ("our/tasks", None, "no token was found: `hf auth login` keeps one, token=... gives one"),
    ],
)
def test_a_refusal_is_one_line(name, token, said, server):
    with pytest.raises(InputError) as error:
        build("shared").push_to_hub(name, token=token)
    assert str(error.value).startswith(f"{name!r} was not put on the Hugging Face Hub ({server.address}): ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert server.files == {}


def test_a_hub_that_does_not_answer_is_one_line(server, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    with pytest.raises(InputError, match=rf"was not put on the Hugging Face Hub \({address}\): \w+: .*refused"):
        build("shared").push_to_hub("our/tasks", token=TOKEN)


def test_without_a_network_by_choice_nothing_is_put_anywhere(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"was not put on the Hugging Face Hub .*offline"):
        build("shared").push_to_hub("our/tasks", token=TOKEN)
    assert server.name is None
