import errno
import fcntl
import os
import socket

import pytest
from safetensors import SafetensorError

from graphmtl.errors import InputError
from graphmtl.files import (
    alone,
    check_output,
    check_regular,
    is_there,
    parse_json,
    read_bounded,
    read_json,
    read_json_lines,
    user_cache,
    write_whole,
    writing,
    written_whole,
)


def test_what_is_no_file_is_said_at_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = {"missing": "no such file", "socket": "a socket", ".": "a folder", "pipe": "a pipe"}
        for name, what in {**found, "/dev/zero": "a device", "a\0b": "null byte"}.items():
            with pytest.raises(InputError, match=what):
                check_regular(tmp_path / name)


def test_no_file_can_be_there_whose_name_is_too_long(tmp_path):
    (tmp_path / "a").touch()
    assert is_there(tmp_path / "a")
    assert is_there(str(tmp_path))
    assert not any(is_there(tmp_path / name) for name in ("b", 300 * "a", "a\0"))


def test_a_file_and_a_link_to_one_are_files(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    check_regular(tmp_path / "a")
    check_regular(str(tmp_path / "b"))


def test_no_more_is_read_than_was_asked_for(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bounded(path, most=5) == b"12345"
    with pytest.raises(InputError, match="a: more than 4 bytes"):
        read_bounded(path, most=4)
    with pytest.raises(InputError, match="a device"):
        read_bounded("/dev/zero", most=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{\n'a': 1}", ", line 2: not JSON (Expecting property name"),
        (b'{"a":\n"\xff"}', ", line 2: byte 0xff is not UTF-8"),
        (b"[" * 10_000, ", line 1: not JSON that can be read (lists or objects nested too deep)"),
        (b'{"a":' * 10_000, ", line 1: not JSON that can be read (lists or objects nested too deep)"),
        (b"9" * 5_000, ", line 1: not JSON that can be read (Exceeds the limit (4300 digits)"),
        (b'[{"a": {"b": 1, "b": 2}}]', ", line 1: the key 'b' stands 2 times in an object: {'b': 2}"),
        (b'{\n"a": 1, "a": [2]}\n', ": the key 'a' stands 2 times in an object: {'a': [2]}"),
        (b"[1]", ": an object ({...}) is expected in the file, found [1]"),
    ],
)
def test_what_is_no_json_object(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_json_objects_and_lists(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}]')
    assert read_json(path, list) == parse_json(path.read_text(), "text") == [{"a": 1}]


def test_json_lines_are_named_and_cut_at_newlines_only(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "\u2028"}\n{"a": 2}\n', encoding="utf-8")
    assert read_json_lines(path) == [{"a": "\u2028"}, {"a": 2}]
    path.write_text("")
    assert read_json_lines(path) == []
    for line, message in (("{", "line 2: not JSON"), ("", "line 2: not JSON"), ("3", "line 2: an object")):
        path.write_text(f'{{"a": 1}}\n{line}\n')
        with pytest.raises(InputError, match=message):
            read_json_lines(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("b.txt", r"--output .*b\.txt: expected a name that ends in \.jsonl, \.csv$"),
        ("gone/b.csv", "--output .*: there is no folder .*gone$"),
        ("there.csv", "there.csv exists; give --overwrite to replace it, or another file with --output"),
        ("folder.csv", "folder.csv exists"),
    ],
)
def test_outputs_that_cannot_be_written(name, message, tmp_path):
    (tmp_path / "there.csv").write_text("precious")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=message):
        check_output(tmp_path / name, option="--output", endings=(".jsonl", ".csv"), overwrite=False)
    check_output(tmp_path / "there.csv", option="--output", endings=(".jsonl", ".csv"), overwrite=True)
    check_output(tmp_path / "any", option="--output", overwrite=False)
    with pytest.raises(InputError, match=r"folder\.csv exists"):
        check_output(tmp_path / "folder.csv", option="--output", overwrite=True)


def test_a_folder_that_cannot_be_written_into_is_said_before_the_work(tmp_path, monkeypatch):
    check_output(tmp_path / "x.csv", option="--output", overwrite=False)
    monkeypatch.setattr(os, "access", lambda *_: False)  # a superuser may write anywhere but on a read-only disk
    with pytest.raises(InputError, match=r"x\.csv: cannot be written into its folder \(no permission, or a read-only"):
        check_output(tmp_path / "x.csv", option="--output", overwrite=False)


def write(path, content, *, fails):
    with written_whole(path) as part:
        part.write_text(content)
        assert path.read_text() == "before"
        if fails:
            raise KeyError


def test_what_is_not_written_whole_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyError):
        write(path, "half", fails=True)
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("before", [path])
    write(path, "after", fails=False)
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("after", [path])


def test_a_folder_takes_the_place_of_another(tmp_path):
    """Whole or not at all, and nothing is left beside it."""
    model = tmp_path / "model"
    for content in ("old", "new"):
        with written_whole(model) as part:
            part.mkdir()
            (part / "weights").write_text(content)

    def write_half() -> None:
        with written_whole(model) as part:
            part.mkdir()
            (part / "weights").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert (model / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left")])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, error):
    write_whole(tmp_path / "a.json", "old")
    with (
        pytest.raises(InputError, match=r"a\.json: cannot be written \(No space left"),
        written_whole(tmp_path / "a.json"),
    ):
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"gone/a\.json: cannot be written \(No such file or directory\)"):
        write_whole(tmp_path / "gone" / "a.json", "")
    with pytest.raises(InputError, match="gone: cannot be written"), writing(tmp_path / "gone"):
        (tmp_path / "gone" / "a").mkdir()


def test_one_at_a_time(tmp_path):
    """A lock is held by an open file, so that this process can be two."""
    asked = []
    with alone(tmp_path / "lock", otherwise=lambda: None) as file:
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"

        def let_go() -> None:
            asked.append("held")
            fcntl.flock(file, fcntl.LOCK_UN)

        with alone(tmp_path / "lock", otherwise=let_go):
            assert asked == ["held"]
    with alone(tmp_path / "lock", otherwise=let_go):
        assert asked == ["held"]


def test_a_lock_whose_file_its_holder_removes_locks_nobody_beside_it(tmp_path):
    """Who has waited for the removed file must not hold that one, while the next comer makes another."""
    with alone(tmp_path / "lock", otherwise=lambda: None) as file:

        def let_go() -> None:
            (tmp_path / "lock").unlink()
            fcntl.flock(file, fcntl.LOCK_UN)

        with alone(tmp_path / "lock", otherwise=let_go) as mine:
            assert os.path.samestat(os.fstat(mine.fileno()), (tmp_path / "lock").stat())


def test_where_files_cannot_be_locked_nothing_is_held(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with alone(tmp_path / "lock", otherwise=lambda: None) as file:
        assert file is not None


def test_the_users_cache_can_be_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHMTL_CACHE", str(tmp_path / "own"))
    assert user_cache("states") == tmp_path / "own" / "states"
    monkeypatch.delenv("GRAPHMTL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("states") == tmp_path / "graphmtl" / "states"
