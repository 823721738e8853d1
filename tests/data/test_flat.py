import resource
import signal
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmtl.data.flat import one_after_the_other, ranges
from graphmtl.errors import InputError

numbers = st.lists(st.integers(-5, 2**31 - 1), max_size=4)


@given(st.lists(st.tuples(numbers, numbers), max_size=6))
def test_every_list_comes_back(texts):
    for place, (flat, lengths) in enumerate(one_after_the_other(texts, 2)):
        parts = np.split(flat, np.cumsum(lengths))[:-1] if len(lengths) else []
        assert [part.tolist() for part in parts] == [text[place] for text in texts]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1))
def test_ranges_are_those_of_python(pairs):
    starts, lengths = np.array(pairs).T
    assert ranges(starts, lengths).tolist() == [i for start, length in pairs for i in range(start, start + length)]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(InputError, match=rf"{tmp_path}: cannot be written \(File too large\)"):
            one_after_the_other([(range(1000),)], 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
