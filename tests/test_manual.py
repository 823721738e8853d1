"""README and the manual: their code runs, their commands are understood, their links lead somewhere."""

import asyncio
import contextlib
import importlib
import io
import itertools
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import graphmtl
import graphmtl.run as run_verb
from graphmtl.arguments import ARGUMENTS
from graphmtl.cli import VERBS, main
from graphmtl.errors import InputError
from graphmtl.manual.pages import TOPICS
from graphmtl.options import parse_options

ROOT = Path(__file__).parents[1]
README = "README.md"
PAGES = [README, *(f"graphmtl/manual/{topic}.md" for topic in TOPICS)]
WITH_LINKS = [*PAGES, "benchmarks/results/README.md"]
_FENCE = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MODULE = re.compile(r"# (\w+)\.py\b")
_STANDING_FOR = {"VERB": "run", "TOPIC": "trust", "GROUP": "star"}
_OF_OTHERS = {  # flags of other programs that the pages name
    *("--vocab", "--logdir", "--config_file", "--nproc_per_node", "--workers"),
}
_OTHER_PROGRAMS = {"source", "curl", "echo", "pip", "make", "python"}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    return _FENCE.sub("", read(page))


def fences(page: str, language: str) -> list[re.Match]:
    return [found for found in _FENCE.finditer(read(page)) if found["language"] == language]


def in_line(page: str) -> list[str]:
    """What stands in backquotes, on one line."""
    return [" ".join(code.split()) for code in _INLINE.findall(prose(page))]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line: without comments, and what a pipe or && divides."""
    words = shlex.split(line, comments=True)
    for divides, own in itertools.groupby(words, lambda word: word in ("|", "&&")):
        if not divides:
            yield [*own]


def commands() -> list[tuple[str, list[str]]]:
    """Every command of every page."""
    found = []
    for page in PAGES:
        lines = [line for fence in fences(page, "bash") for line in fence["code"].replace("\\\n", " ").splitlines()]
        lines += [code for code in in_line(page) if code.startswith("graphmtl ")]
        found += [(page, own) for line in lines for own in simple_commands(line)]
    return found


def of_graphmtl(words: list[str]) -> list[str] | None:
    """The verb and its arguments; None of another program."""
    if words[0] == "graphmtl":
        return [_STANDING_FOR.get(word, word) for word in words[1:]]
    module = next((after for flag, after in itertools.pairwise(words) if flag == "-m"), "")
    if module.startswith("graphmtl."):
        return [module.removeprefix("graphmtl."), *words[words.index("-m") + 2 :]]
    return None


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """A folder in which README has been followed, with the modules and the run that it and the pages speak of."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        for page in PAGES:
            for fence in fences(page, "python"):
                if name := _MODULE.match(fence["code"]):
                    (folder / f"{name[1]}.py").write_text(fence["code"])
        (folder / "my_module.py").write_text("from gated import Gated as MyClass\n")
        read_aloud(README)
        yield folder


def read_aloud(page: str) -> dict:
    """Runs a page's code, block after block; modules are imported."""
    names: dict = {"__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for fence in fences(page, "python"):
            name = _MODULE.match(fence["code"])
            if name is not None and fence["reason"] is None:
                importlib.import_module(name[1])
            elif fence["reason"] is None:
                exec(compile(fence["code"], page, "exec"), names)
    return {**names, "printed": printed.getvalue()}


def test_the_readme_has_150_to_200_lines():
    assert 150 <= len(read(README).splitlines()) <= 200


def test_the_code_of_the_readme_learns_what_it_says(place):
    model = graphmtl.MultiTaskModel.from_pretrained("my-model")  # of the loop; the run's own one is beside it
    for each in (model, graphmtl.Run.open("runs/reviews").model):
        found = each.predict(["a lovely story", "a messy story"], task="books")
        assert [own["label"] for own in found] == ["good", "bad"]


def test_the_architecture_of_the_readme_trains(place):
    films = [{"text": f"a {word} film {i}", "label": word} for word in ("warm", "dull") for i in range(12)]
    tasks = graphmtl.load_tasks({"films": {"train": films, "test": 0.3}, "books": {"train": films, "test": 0.3}})
    run = graphmtl.train(tasks, arch="gated:Gated", hidden=4, epochs=1, progress=False, output="runs/gated")
    assert run.model.architecture.gate.shape == (2, 1)


@pytest.mark.parametrize("page", [page for page in PAGES if page != README and fences(page, "python")])
def test_the_code_of_a_page_runs(page, place):
    if "model.onnx" in read(page):
        main(["-q", "export", "runs/reviews", "--output", "model.onnx", "--overwrite"])
    assert read_aloud(page)["printed"].strip() or page.endswith(("pictures.md", "extending.md"))


def test_what_is_not_run_has_a_reason():
    left_out = {(page, found["reason"]) for page in PAGES for found in fences(page, "python") if found["reason"]}
    assert left_out == {
        ("graphmtl/manual/comparing.md", "trains for minutes"),
        ("graphmtl/manual/pictures.md", "needs runs of several seeds"),
        ("graphmtl/manual/export.md", "a test of its own starts the service"),
    }


def parse(argv: list[str], monkeypatch) -> None:
    """Reads the arguments of a command as the verb does, and does no more."""
    verb, *rest = argv
    if verb == "help":
        assert rest[0] in {*VERBS, *TOPICS}
    elif verb == "run":
        monkeypatch.setattr(run_verb, "run_and_report", lambda options, **_: None)
        monkeypatch.setattr(run_verb, "_run_seeds", lambda seeds, jobs, flags, *, test: parse_options(flags))
        run_verb.main(rest)
    elif verb == "pretrain":
        parse_options(rest)
    elif verb in ("compare", "transfer"):
        given = ARGUMENTS[verb](rest)
        parse_options(given.rest)
        for _, flags in getattr(given, "variant", ()):
            parse_options(["--arch", *shlex.split(flags)])
        for name, option in re.findall(r"^(\w+)\.(\w+=.+)$", "\n".join(getattr(given, "words", ())), re.M):
            parse_options(["--arch", name, f"--{option}"])
    else:
        ARGUMENTS[verb](rest)


def test_every_command_is_understood(place, monkeypatch, capsys):
    """Each of its options exists, takes such a value, and has an effect."""
    seen, wrong = 0, list[str]()
    for page, words in commands():
        argv = of_graphmtl(words)
        if argv is None or argv[0] in ("--help", "--version"):
            continue
        for flag, value in itertools.pairwise(argv):
            run = Path(value if flag == "--prune" else os.path.dirname(value))
            if flag in ("--prune", "--config") and run.parts[:1] == ("runs",) and not run.exists():
                run.mkdir(parents=True)
                shutil.copy("runs/reviews/config.yaml", run)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".* no effect ")
            try:
                parse(argv, monkeypatch)
            except SystemExit as leaving:  # help
                wrong += [f"{page}: {shlex.join(words)}"] if leaving.code else []
            except (InputError, UserWarning) as error:
                wrong.append(f"{page}: {shlex.join(words)}: {error}")
        seen += 1
    assert wrong == []
    assert seen > 80


def test_an_option_that_does_not_exist_is_found(place, monkeypatch):
    for line in ("graphmtl run --archh star", "graphmtl plot RUN --histroy", "torchrun -m graphmtl.run --epochs x"):
        with pytest.raises(InputError):
            parse(of_graphmtl(next(simple_commands(line))), monkeypatch)


def test_every_other_command_is_a_program_that_is_known():
    targets = set(re.findall(r"^(\w+):", read("Makefile"), re.M))
    for page, words in commands():
        if of_graphmtl(words) is not None:
            continue
        assert words[0] in _OTHER_PROGRAMS, f"{page}: {words}"
        if words[0] == "make":
            assert words[1] in targets
        if words[0] == "python" and words[1] != "-m":
            assert (ROOT / words[1]).is_file(), words


def test_every_flag_that_a_page_names_exists(capsys):
    for arguments in (*VERBS, "run --help all", "transfer --leave-one-out"):
        with contextlib.suppress(SystemExit):
            main([*arguments.split(), *([] if "--help" in arguments else ["--help"])])
    flag = re.compile(r"(?<![\w-])--[a-z][\w-]*")
    known = set(flag.findall(capsys.readouterr().out)) | _OF_OTHERS
    for page in PAGES:
        named = {found for code in in_line(page) for found in flag.findall(code)}
        assert named - known == set(), page


def slug(heading: str) -> str:
    """How a forge calls a heading in an address."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", WITH_LINKS)
def test_every_link_leads_somewhere(page):
    for target in _LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), target


def test_the_links_of_the_readme_need_no_more_than_an_address_before_them():
    """A forge may show it where the folders are not around it."""
    assert all(".." not in target and not target.startswith(("/", "#")) for target in _LINK.findall(prose(README)))


def test_the_readme_leads_to_every_page_and_the_results_to_every_table():
    linked = set(_LINK.findall(prose(README)))
    assert {page for page in PAGES if page != README} <= linked
    results = ROOT / "benchmarks/results"
    named = {target.partition("#")[0] for target in _LINK.findall(read("benchmarks/results/README.md"))}
    assert {path.name for path in results.glob("*.md")} - {README} <= named


@pytest.fixture
def service(place):
    pytest.importorskip("fastapi", reason="FastAPI is not installed (pip install fastapi)")
    from fastapi.testclient import TestClient

    sys.modules.pop("service", None)
    module = importlib.import_module("service")
    with TestClient(module.app) as client:
        yield module, client


def test_the_service_answers_as_the_model_does(service):
    module, client = service
    found = client.post("/predict", params={"text": "a lovely story"}).json()
    assert found == module.model.predict("a lovely story", task=["films", "books"])


def test_the_service_reads_texts_that_wait_in_one_batch(service, monkeypatch):
    module, _ = service
    batches = []

    def predict(texts, task):
        batches.append(texts)
        if "refused" in texts:
            raise ValueError("a text that is refused")
        return [{"text": text, "task": name} for text in texts for name in task]

    async def ask(texts):
        return await asyncio.gather(*map(module.predict, texts), return_exceptions=True)

    monkeypatch.setattr(module.model, "predict", predict)
    texts = [f"text {i}" for i in range(70)]
    found = asyncio.run(ask(texts))
    assert batches == [texts[:1], texts[1:65], texts[65:]]
    assert found == [[{"text": text, "task": name} for name in ("films", "books")] for text in texts]
    monkeypatch.setattr(module, "lock", asyncio.Lock())  # of another loop
    first, *others = asyncio.run(ask(["first", "refused", "beside it"]))
    assert [own["text"] for own in first] == ["first", "first"]
    assert all(isinstance(each, Exception) for each in others)
    assert [own["text"] for own in asyncio.run(ask(["later"]))[0]] == ["later", "later"]
