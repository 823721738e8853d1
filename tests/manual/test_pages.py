import re
import sys
from pathlib import Path

import pytest

from graphmtl.errors import InputError
from graphmtl.manual import pages
from graphmtl.manual.pages import TOPICS, page, print_page, question, source

FOLDER = Path(pages.__file__).parent


def test_every_page_is_a_topic():
    assert {path.stem for path in FOLDER.glob("*.md")} == set(TOPICS)
    assert len(TOPICS) == len(set(TOPICS))


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_begins_with_its_title_and_the_question_that_it_answers(topic):
    title, asked, *rest = source(topic).split("\n\n")
    assert re.fullmatch(r"# .+", title)
    assert re.fullmatch(r".+\?", asked)  # a line
    assert question(topic) == asked
    assert rest[0].startswith("```bash")  # then commands


def test_a_topic_that_does_not_exist_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown topic 'encoder'; did you mean 'encoders'\?"):
        page("encoder")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A page of the test's own."""
    monkeypatch.setattr(pages, "__file__", str(tmp_path / "pages.py"))

    def written(text: str) -> str:
        (tmp_path / f"{TOPICS[0]}.md").write_text(text)
        return page(TOPICS[0])

    return written


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("[trust](trust.md)", "trust (graphmtl help trust)"),
        ("[below](trust.md#what-is-printed)", "below (graphmtl help trust)"),
        ("[here](#kinds)", "here"),
        ("[star.py](../architectures/star.py)", "graphmtl/architectures/star.py"),
        ("[figures](../../benchmarks/results/speed.md)", "figures (benchmarks/results/speed.md)"),
        ("[it](https://example.org/a)", "it (https://example.org/a)"),
    ],
)
def test_a_link_says_what_can_be_found_from_a_terminal(link, shown, written):
    assert written(f"See {link}, and {link}.\n") == f"See {shown}, and {shown}.\n"


def test_code_stays_as_it_is_and_comments_are_left_out(written):
    code = '```python\nheads["books"](x)  # <!-- -->\nheads["books"](x)\n```'
    assert written(f"a\n\n<!-- not run:\nslow -->\n{code}\n\n[b](#b)\n") == f"a\n\n{code}\n\nb\n"


def test_a_page_is_text_where_no_terminal_shows_it(capsys):
    print_page("trust")
    assert capsys.readouterr().out == page("trust")


def test_a_page_is_drawn_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    print_page("trust")
    printed = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert "# Can I" not in printed  # a heading, not its mark
    assert "```" not in printed
    assert "graphmtl explain RUN" in printed
    assert max(map(len, printed.splitlines())) <= 60
