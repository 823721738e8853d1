import gzip

import networkx as nx
import pytest

from graphmtl.errors import InputError
from graphmtl.graph.graphml import read_graphml
from graphmtl.graph.task_graph import TaskGraph
from tests.graph.examples import complete

HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed">'
LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "lol"}">' for i in range(10))


def test_what_networkx_writes_is_read_packed_or_not(tmp_path):
    graph = nx.DiGraph([("a", "b")])
    nx.write_graphml(graph, tmp_path / "g.graphml")
    (tmp_path / "g.graphml.gz").write_bytes(gzip.compress((tmp_path / "g.graphml").read_bytes()))
    for name in ("g.graphml", "g.graphml.gz"):
        assert set(read_graphml(tmp_path / name).edges) == {("a", "b")}


def test_a_packed_task_graph_comes_back(tmp_path):
    graph = complete(3)
    graph.write_graphml(tmp_path / "g.graphml.gz")
    assert TaskGraph.read_graphml(tmp_path / "g.graphml.gz") == graph


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<?xml version="1.0" encoding="x-9"?><a/>', "not GraphML .LookupError: unknown encoding: x-9"),
        ('<?xml version="1.0" encoding="gbk"?><a/>', "not GraphML .ValueError: multi-byte encodings"),
        (f'<!DOCTYPE l [{LAUGHS}]>{HEAD}<node id="&a9;"/></graph></graphml>', "line 1: an entity of its own, 'a0'"),
        (
            f'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>{HEAD}</graph></graphml>',
            "an entity of its own, 'x'",
        ),
        ("<graph>" * 100_000, "line 1: elements in more than 32 others"),
        ("<graphml>\n<", "no XML: .*line 2"),
        ("", "no XML: no element found"),
        ("<letter/>", "not GraphML"),
        (f'{HEAD}<node id="a"/><edge source="a" target="b"', "no XML"),
        (f'{HEAD}<key id="x" for="node" attr.name="n" attr.type="int"/></graph></graphml>', None),
    ],
)
def test_what_a_stranger_may_write(tmp_path, content, message):
    path = tmp_path / "g.graphml"
    path.write_text(content)
    if message is None:
        assert len(read_graphml(path)) == 0
        return
    with pytest.raises(InputError, match=message) as error:
        read_graphml(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_packed_file_is_not_unpacked_to_its_end(tmp_path):
    path = tmp_path / "g.graphml.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(34):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match="more than 33,554,432 bytes of GraphML"):
        read_graphml(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        read_graphml(path)
