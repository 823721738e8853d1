"""The manual: a page of Markdown for each topic, which ``graphmtl help TOPIC`` prints and a forge shows.

A page begins with its title and, in a paragraph of one line, the question that it answers.
"""

import posixpath
import re
import sys
from pathlib import Path

from graphmtl.errors import unknown_name

__all__ = ["TOPICS", "page", "print_page", "question", "source"]

TOPICS = (  # in the order in which they are read
    *("tasks", "architectures", "encoders", "training", "comparing", "pictures", "trust"),
    *("transfer", "distillation", "export", "devices", "extending"),
)
_FOLDER = "graphmtl/manual"
_WIDEST = 110  # columns of a line that is easy to read
_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def source(topic: str) -> str:
    """A page as it stands in the package.

    Raises:
        InputError: there is no such topic.
    """
    if topic not in TOPICS:
        raise unknown_name("topic", topic, TOPICS)
    return (Path(__file__).parent / f"{topic}.md").read_text(encoding="utf-8")


def question(topic: str) -> str:
    """What a page answers, a line."""
    return source(topic).split("\n\n")[1]


def page(topic: str) -> str:
    """A page for a terminal: Markdown without comments, and in the place of a link what can be found from there.

    >>> print(page("trust").splitlines()[0])
    # Can I trust the picture?
    """
    text = source(topic)
    pieces, start = [], 0
    for code in _CODE.finditer(text):  # whose brackets are no links
        pieces += [_prose(text[start : code.start()]), code[0]]
        start = code.end()
    return "".join([*pieces, _prose(text[start:])])


def _prose(text: str) -> str:
    return _LINK.sub(_spelled_out, _COMMENT.sub("", text))


def _spelled_out(link: re.Match) -> str:
    """A link's text and where it leads: a topic, a file of the project, or an address."""
    text, target = link.groups()
    path = target.partition("#")[0]
    if "://" in target:
        return f"{text} ({target})"
    if not path:
        return text
    where = posixpath.normpath(posixpath.join(_FOLDER, path))
    if posixpath.dirname(where) == _FOLDER:
        return f"{text} (graphmtl help {posixpath.basename(where).removesuffix('.md')})"
    return where if posixpath.basename(where) == text else f"{text} ({where})"


def print_page(topic: str) -> None:
    """Prints a page; with its headings and tables drawn where a terminal shows it."""
    text = page(topic)
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console  # a tenth of a second, which the list of topics goes without
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text, hyperlinks=False), width=min(console.width, _WIDEST))
