"""The report as a command, and in a browser without a network."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from graphmtl.errors import InputError
from graphmtl.graph.task_graph import TaskGraph
from graphmtl.report import main
from graphmtl.reporting.contents import run_contents
from graphmtl.reporting.page import render
from graphmtl.training.run import Run
from graphmtl.training.run_picture import held_graphs
from tests import tiny
from tests.graph.examples import complete, rescaled, write_control
from tests.reporting.explained import explain

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'</script>"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem is None:
            self.text += data


class Opened:
    """A page in the browser, and all that went wrong or was asked for there."""

    def __init__(self, page: Page, path: Path):
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def show(self, tab: str) -> None:
        """Changes to a tab, and opens all that is folded."""
        self.page.click(f"[data-tab={tab}]")
        self.unfold()

    def unfold(self) -> None:
        self.page.evaluate("document.querySelectorAll('.part').forEach((each) => (each.open = true))")

    @property
    def hint(self) -> str:
        return self.page.locator("#hint").inner_text()


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, names) if found), None)
    if path is None:
        pytest.skip("no Chromium is installed (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a file in a window of its own that has no network."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})
    yield lambda path: Opened(context.new_page(), path)
    context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("report")


def leaning(graph: TaskGraph) -> TaskGraph:
    """A graph of three tasks, each of which reads more from one source than from the other."""
    edges = sorted(graph.edges, key=lambda edge: (edge.target, edge.source))
    shares = [replace(edge, weight=0.7 + 0.02 * i if i % 2 else 0.3 - 0.02 * (i + 1)) for i, edge in enumerate(edges)]
    return replace(graph, edges=tuple(shares))


@pytest.fixture(scope="module")
def compared(finished, tmp_path_factory) -> dict[str, Run]:
    """Two runs, each with a control: complete, where each task reads more from one source, and star, where all pairs
    are more alike than those of the control."""
    folders = {arch: tmp_path_factory.mktemp("compared") / arch for arch in ("complete", "star")}
    for arch, place in folders.items():
        shutil.copytree(finished(arch).run.folder, place)
    leaning(Run(folders["complete"]).task_graph).save(folders["complete"] / "task_graph.json")
    affinity = Run(folders["star"]).graphs_beside["affinity"]
    alike = tuple(replace(edge, weight=abs(edge.weight) / 2 + 0.1) for edge in affinity.edges)
    replace(affinity, edges=alike).save(folders["star"] / "task_affinity.json")
    for place in folders.values():
        write_control(place)
    rescaled(affinity, 0, 0).save(folders["star"] / "controls" / "shuffled" / "task_affinity.json")
    return {arch: Run.open(place) for arch, place in folders.items()}


def above(run: Run) -> list[tuple[str, str, float]]:
    """Source, target and number of every edge of a run that is above its control."""
    (found,) = [each for each in held_graphs(run) if not each.graph.virtual]
    tasks = found.graph.tasks
    places = np.argwhere(found.evidence.above).tolist()
    return [(tasks[j], tasks[k], float(found.cells.texts[k][j])) for k, j in places]


@pytest.fixture(scope="module")
def report(compared, folder) -> Path:
    """Of two runs, complete and star."""
    path = folder / "report.html"
    main([*(str(run.folder) for run in compared.values()), "--output", str(path)])
    return path


@pytest.fixture(scope="module")
def evil(folder) -> Path:
    """The report of a run whose texts, labels and, by hand, task names and metrics are markup."""
    rows = [f"{text} {i}\t{label}" for i in range(20) for text, label in ((f"a {EVIL} b", EVIL), ("good film", "no"))]
    for split, some in {"train": rows[:24], "test": rows[24:]}.items():
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "".join(f"{row}\n" for row in some))
    labels = json.dumps([EVIL, "no"])
    task = f"{{train: train.tsv, test: test.tsv, valid: 0.25, text: text, label: label, labels: {labels}}}"
    (folder / "tasks.yaml").write_text(f"tasks:\n  one: {task}\n  two: {task}\n  three: {task}\n")
    tasks = str(folder / "tasks.yaml")
    run = tiny.run(arch="complete", tasks=tasks, epochs=1, keep_overlap=True, output=folder / EVIL.replace("/", ""))
    explain(run.run)
    for name in ("metrics.json", "task_graph.json", "history.jsonl", "explanation.json"):
        path = run.run.folder / name
        path.write_text(path.read_text().replace('"one"', json.dumps(EVIL)).replace('"accuracy"', json.dumps(EVIL)))
    leaning(Run(run.run.folder).task_graph).save(run.run.folder / "task_graph.json")
    write_control(run.run.folder)
    main([str(run.run.folder), "--output", str(folder / "evil.html")])
    return folder / "evil.html"


def page_of(run: Run, folder: Path) -> Path:
    """The report of one run, without examples."""
    main([str(run.folder), "--output", str(folder / "page.html"), "--examples", "0"])
    return folder / "page.html"


def middle(edge) -> tuple[float, float]:
    """Where the middle of an edge's line is on the screen."""
    return edge.locator(".hit").evaluate(
        """(path) => {
            const point = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
            return [point.x, point.y];
        }"""
    )


# The file


def test_nothing_is_loaded_from_elsewhere(report):
    page = report.read_text()
    elements = Elements(page)
    assert {tag for tag, _ in elements.found} & {"link", "iframe", "object", "embed", "base", "img"} == set()
    loading = {"src", "href", "action", "data", "srcset", "poster", "background"}
    assert [attributes for _, attributes in elements.found if loading & attributes.keys()] == []
    assert re.findall(r"@import|url\((?!#|`)|fetch\(|XMLHttpRequest|import\(", page) == []
    assert set(re.findall(r"https?://[^\"'\s]*", page)) == {"http://www.w3.org/2000/svg"}  # the name of SVG


def test_data_and_names_are_escaped(evil):
    elements = Elements(evil.read_text())
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert elements.text.count(EVIL) > 10


# In the browser


def test_page_opens_without_errors_and_asks_for_nothing(report, opened):
    found = opened(report)
    for tab in ("run-1", "run-2", "comparison"):
        found.show(tab)
        assert found.page.locator("main:visible").get_attribute("id") == tab
    assert found.problems == []
    assert found.requests == [report.as_uri()]


def test_markup_in_names_and_texts_does_not_run(evil, opened):
    found = opened(evil)
    page = found.page
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.images.length") == 0
    found.unfold()
    for selector in (".node", ".heat [data-hint]", ".token", ".chart circle", ".names span"):
        page.locator(selector).first.scroll_into_view_if_needed()
        page.locator(selector).first.hover(force=True)
    page.mouse.move(*middle(page.locator(".edge").last))
    assert page.evaluate("[document.scripts.length, document.images.length]") == [2, 0]
    assert EVIL in page.locator("h2, .numbers").all_inner_texts()[1]
    assert found.problems == []
    assert found.requests == [evil.as_uri()]


def test_pointing_at_an_edge_shows_its_number(report, opened, compared):
    found = opened(report)
    found.show("run-1")
    source, target, number = max(above(compared["complete"]), key=lambda edge: edge[2])
    found.page.locator("#run-1 .graph svg").scroll_into_view_if_needed()
    found.page.mouse.move(*middle(found.page.locator("#run-1 .edge").last))
    what, numbers = found.hint.splitlines()[0].split(": ")
    assert what == f"{target} reads from {source}"
    assert numbers == f"{number:.2f} times the equal share"
    assert "instances" in found.hint
    found.page.mouse.move(2, 2)
    assert found.page.locator("#hint").is_hidden()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_slider_hides_weak_edges(share, report, opened, compared):
    found = opened(report)
    found.show("run-1")
    weights = sorted(number for *_, number in above(compared["complete"]))
    least = weights[0] + share * (weights[-1] - weights[0])
    figure = found.page.locator("#run-1 .graph")
    figure.locator("input").fill(str(round(1000 * share)))
    expected = sum(weight >= least - 1e-9 for weight in weights)
    assert figure.locator(".edge:visible").count() == expected
    assert f"{expected} of {len(weights)} edges" in figure.locator("output").inner_text()


def test_dragging_moves_a_task_and_its_edges_only(report, opened, compared):
    found = opened(report)
    found.show("run-1")
    svg, node = found.page.locator("#run-1 .graph svg"), found.page.locator("#run-1 .node").first
    svg.scroll_into_view_if_needed()

    def places():
        return [each.get_attribute("transform") for each in found.page.locator("#run-1 .node").all()]

    def lines():
        return [each.get_attribute("d") for each in found.page.locator("#run-1 .line").all()]

    before, before_lines = places(), lines()
    box, frame = node.locator("circle").bounding_box(), svg.bounding_box()
    found.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    found.page.mouse.down()
    target = (frame["x"] + 0.2 * frame["width"], frame["y"] + 0.9 * frame["height"])
    found.page.mouse.move(*target, steps=5)
    found.page.mouse.up()
    found.page.mouse.move(2, 2)
    moved = node.locator("circle").bounding_box()
    assert (moved["x"] + moved["width"] / 2, moved["y"] + moved["height"] / 2) == pytest.approx(target, abs=2)
    assert places()[1:] == before[1:]
    changed = [old != new for old, new in zip(before_lines, lines(), strict=True)]
    name = node.locator("text").text_content()
    assert sum(changed) == sum(name in ends for *ends, _ in above(compared["complete"])) > 0
    found.page.locator("#run-1 .graph button").click()
    assert places() == before
    assert lines() == before_lines


def test_pointing_at_a_task_pales_what_it_does_not_read(report, opened):
    found = opened(report)
    found.show("run-1")
    found.page.locator("#run-1 .graph svg").scroll_into_view_if_needed()
    found.page.locator("#run-1 .node circle").first.hover()
    assert found.page.locator("#run-1 .line.far").count() == 2  # of three, one into each task
    assert "reads from" in found.hint


def test_pointing_at_a_task_pales_what_does_not_touch_it_in_an_affinity(report, opened):
    found = opened(report)
    found.show("run-2")
    affinity = found.page.locator("#run-2 .graph")
    affinity.locator(".node circle").first.hover()
    assert affinity.locator(".edge").count() == 3
    assert affinity.locator(".line.far").count() == 1


def test_a_star_has_its_spokes_as_bars(report, opened, compared):
    found = opened(report)
    found.show("run-2")
    bars = found.page.locator("#run-2 .bars i")
    assert bars.count() == len(compared["star"].task_graph.edges)
    track, bar = (bars.first.bounding_box(), bars.first.locator("b").bounding_box())
    assert track["x"] - 1 <= bar["x"]
    assert bar["x"] + bar["width"] <= track["x"] + track["width"] + 1


def with_texts(run: Run, places: Path, spread: float) -> Path:
    """The report of a run whose words read by hand: shares that are so many times apart from word to word."""
    contents = run_contents(run, name="a run", examples=1, seed=0)
    for texts in contents["examples"].values():
        for text in texts:
            rows = [
                [1 + (spread - 1) * ((t + i) % 3 == 0) for i in range(len(own))]
                for t, own in enumerate(text["weights"])
            ]
            text["weights"], text["alike"] = rows, spread < 1.1
    path = places / "texts.html"
    path.write_text(render([contents], None))
    return path


def shades(example, which: str) -> list[str]:
    """The colour of each element of an example: its strength, and whether it is below the equal share."""
    return example.locator(which).evaluate_all(
        "found => found.map(e => e.style.getPropertyValue('--w') + e.classList.contains('minus'))"
    )


@pytest.mark.parametrize("arch", ["complete", "star"])
def test_words_are_coloured_by_what_is_pointed_at(arch, compared, opened, tmp_path):
    found = opened(with_texts(compared[arch], tmp_path, 3))
    found.unfold()
    example = found.page.locator(".example:visible").first
    read = ".sources button" if arch == "complete" else ".token"  # tasks in complete, words in star
    before = shades(example, read)
    assert len(before) > 1
    example.locator(".token").first.hover()
    assert found.hint.startswith(f"{example.locator('.token').first.inner_text()} read from\n")
    assert shades(example, read) != before
    found.page.mouse.move(2, 2)
    assert shades(example, read) == before


def test_pointing_at_a_source_shows_which_words_read_it(compared, opened, tmp_path):
    found = opened(with_texts(compared["complete"], tmp_path, 3))
    found.unfold()
    example = found.page.locator(".example:visible").first
    seen = set()
    for button in example.locator(".sources button").all():
        button.hover()
        assert "chosen" in button.get_attribute("class")
        seen.add(str(shades(example, ".token")))
    assert len(seen) == example.locator(".sources button").count() > 1


def test_where_every_word_read_the_same_there_is_one_strip(compared, opened, tmp_path):
    found = opened(with_texts(compared["complete"], tmp_path, 1))
    found.unfold()
    example = found.page.locator(".example:visible").first
    assert set(shades(example, ".token")) == {"false"}
    assert set(shades(example, ".sources button")) == {"0false"}
    example.locator(".token").first.hover()
    assert found.page.locator("#hint").is_hidden()


def test_pointing_at_a_name_lights_its_curve(report, opened):
    found = opened(report)
    found.show("run-1")
    charts = found.page.locator("#run-1 .charts").first
    for i, name in enumerate(charts.locator(".names span").all()):
        name.hover()
        assert charts.locator("g.lit").count() == charts.locator(".chart").count() == 3  # in all that share the key
        for chart in charts.locator(".chart").all():
            assert chart.locator("g").nth(i).get_attribute("class").endswith("lit")
            assert name.inner_text() in chart.locator("g.lit circle").first.get_attribute("data-hint")


def with_tasks(run: Run, count: int) -> TaskGraph:
    """Another task graph for a run, of many tasks with long names."""
    graph = complete(count)
    name = {task: f"task-{i:02d}_about_some_topic" for i, task in enumerate(graph.tasks)}
    edges = tuple(replace(edge, source=name[edge.source], target=name[edge.target]) for edge in graph.edges)
    renamed = replace(graph, tasks=tuple(name.values()), edges=edges)
    renamed.save(run.folder / "task_graph.json")
    write_control(run.folder)
    return renamed


@pytest.mark.parametrize("count", [9, 17, 60])
@pytest.mark.parametrize("width", [1300, 500])
def test_no_name_is_cut_off(count, width, copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    with_tasks(run, count)
    found = opened(page_of(run, tmp_path))
    found.page.set_viewport_size({"width": width, "height": 900})
    frame, *boxes = found.page.locator(".graph svg, .node text").evaluate_all(
        """(found) => found.map((each) => each.getBoundingClientRect()).map(
            (box) => [box.left, box.top, box.right, box.bottom]
        )"""
    )
    assert len(boxes) == count
    for left, top, right, bottom in boxes:
        assert frame[0] <= left < right <= frame[2]
        assert frame[1] <= top < bottom <= frame[3]
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_telephone_shows_all_names_at_once(report, browser):
    context = browser.new_context(offline=True, viewport={"width": 400, "height": 800})
    found = Opened(context.new_page(), report)
    found.show("run-1")
    boxes = [node.bounding_box() for node in found.page.locator("#run-1 .node text").all()]
    assert len(boxes) == 3
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 400 for box in boxes)
    assert all(box["height"] > 9 for box in boxes)  # and they can be read
    context.close()


@pytest.mark.parametrize("width", [1300, 400])
def test_long_names_and_words_do_not_widen_the_page(width, evil, opened):
    found = opened(evil)
    found.page.set_viewport_size({"width": width, "height": 900})
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width


def inside(page: Page, selector: str) -> list[bool]:
    """Of each such element whether it lies in the window from left to right."""
    return page.locator(selector).evaluate_all(
        """(found) => found.map((each) => each.getBoundingClientRect()).map(
            (box) => box.left >= 0 && box.width > 0 && box.right <= innerWidth
        )"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "count"), [(1400, 3), (1400, 60), (400, 3), (400, 16)])
def test_cards_gains_and_the_names_of_the_map_lie_in_the_window(width, count, scheme, copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    if count > 3:
        with_tasks(run, count)
    found = opened(page_of(run, tmp_path))
    found.page.emulate_media(color_scheme=scheme)
    found.page.set_viewport_size({"width": width, "height": 900})
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    names = {".first .heat tbody th": count, ".first .heat thead th": count if width > 400 or count > 3 else 0}
    for selector, least in ({".card": 3, ".gains th": 4, ".gains td": 8} | names).items():
        shown = inside(found.page, selector)
        assert len(shown) >= least
        assert all(shown), selector
    assert found.problems == []


@pytest.mark.parametrize("count", [3, 16])
def test_the_names_of_the_graph_lie_in_a_narrow_window_and_can_be_read(count, copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    if count > 3:
        with_tasks(run, count)
    write_control(run.folder)
    found = opened(page_of(run, tmp_path))
    found.page.set_viewport_size({"width": 400, "height": 900})
    found.page.reload()
    shown = inside(found.page, ".graph .node text")
    assert len(shown) == count
    assert all(shown)
    heights = found.page.locator(".graph .node text").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) > 8


def test_marks_of_gains_lie_where_their_numbers_say(report, opened):
    found = opened(report)
    rows = found.page.locator("#comparison .gains tr").evaluate_all(
        """(rows) => rows.map((row) => {
            const box = (each) => row.querySelector(each).getBoundingClientRect();
            const [frame, line, mark] = [".track", "i", "b"].map(box);
            const text = row.lastElementChild.textContent;
            const places = [line.left, (mark.left + mark.right) / 2, line.right].map((x) => x - frame.left);
            return [...places, ...text.match(/[-+][0-9.]+/g).map(Number), frame.width];
        })"""
    )
    assert len(rows) == 3  # whose metrics differ, so that there is no mean
    for start, at, end, mean, low, high, width in rows:
        assert 0 <= start <= at <= end <= width
        if high - low > 2:
            assert (at - start) / (end - start) == pytest.approx((mean - low) / (high - low), abs=0.05)


def test_the_kept_epoch_is_marked_in_every_curve(copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    metrics = run.metrics | {"best_epoch": 1}
    run.write_json("metrics.json", metrics)
    found = opened(page_of(Run.open(run.folder), tmp_path))
    found.unfold()
    assert found.page.locator(".chart .kept").count() == found.page.locator(".chart").count() == 3
    found.page.locator(".chart .kept").first.hover(force=True)
    assert found.hint == "kept: epoch 1"


def test_dragging_takes_hold_where_the_pointer_is(report, opened):
    found = opened(report)
    found.show("run-1")
    node = found.page.locator("#run-1 .node").first
    node.scroll_into_view_if_needed()
    before = node.locator("circle").bounding_box()
    for button, moves in (("right", False), ("left", True)):
        found.page.mouse.move(before["x"] + 5 + before["width"] / 2, before["y"] + 8)
        found.page.mouse.down(button=button)
        found.page.mouse.move(before["x"] + 25 + before["width"] / 2, before["y"] + 8)
        found.page.mouse.up(button=button)
        after = node.locator("circle").bounding_box()
        assert after["x"] - before["x"] == pytest.approx(20 if moves else 0, abs=1)  # a line is wider under the pointer
        assert after["y"] == pytest.approx(before["y"], abs=1)


def test_a_task_that_was_clicked_moves_by_the_arrow_keys(report, opened):
    found = opened(report)
    found.show("run-1")
    node = found.page.locator("#run-1 .node").first
    node.locator("circle").click()
    before = node.get_attribute("transform")
    found.page.keyboard.press("ArrowLeft")
    assert node.get_attribute("transform") != before


def test_every_edge_above_the_control_is_drawn_and_no_other(copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    with_tasks(run, 9)
    found = opened(page_of(run, tmp_path))
    shown = found.page.locator(".edge:visible").evaluate_all("edges => edges.map(edge => edge.dataset.hint)")
    expected = {f"{target} reads from {source}" for source, target, _ in above(Run.open(run.folder))}
    assert {hint.split(":")[0] for hint in shown} == expected
    assert 0 < len(expected) < 72
    count = len(expected)
    assert f"{count} of {count} edges" in found.page.locator(".graph output").inner_text()


def test_a_task_cannot_be_dragged_out_of_the_picture(report, opened):
    found = opened(report)
    found.show("run-1")
    svg, node = found.page.locator("#run-1 .graph svg"), found.page.locator("#run-1 .node").first
    svg.scroll_into_view_if_needed()
    box = node.locator("circle").bounding_box()
    found.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    found.page.mouse.down()
    found.page.mouse.move(1, 1, steps=5)
    found.page.mouse.up()
    moved, frame = node.locator("circle").bounding_box(), svg.bounding_box()
    assert moved["x"] >= frame["x"] - 1
    assert moved["y"] >= frame["y"] - 1


def test_a_task_moves_by_the_arrow_keys_and_pales_the_others_edges(report, opened):
    found = opened(report)
    found.show("run-1")
    node = found.page.locator("#run-1 .node").first
    node.scroll_into_view_if_needed()
    before = node.locator("circle").bounding_box()
    found.page.locator("#run-1 .graph button").focus()
    found.page.keyboard.press("Tab")
    assert found.page.locator("#run-1 .line.far").count() == 2
    found.page.keyboard.press("ArrowRight")
    assert node.locator("circle").bounding_box()["x"] > before["x"] + 1
    assert "reads from" in found.hint
    found.page.keyboard.press("Escape")
    assert found.page.locator("#hint").is_hidden()


def test_tabs_are_changed_by_the_arrow_keys(report, opened):
    found = opened(report)
    found.page.locator("[data-tab=comparison]").focus()
    for tab in ("run-1", "run-2", "comparison"):
        found.page.keyboard.press("ArrowRight")
        assert found.page.locator("main:visible").get_attribute("id") == tab


def test_a_hint_is_gone_when_the_page_is_scrolled(report, opened):
    found = opened(report)
    found.show("run-1")
    found.page.locator("#run-1 .node circle").first.hover()
    text = found.hint
    assert text
    found.page.evaluate("scrollBy(0, 300)")  # something else may be under the pointer then
    found.page.wait_for_function("text => hint.hidden || hint.textContent !== text", arg=text)


@pytest.mark.parametrize("off", [0, 1e-16, 1e-12])
def test_curves_that_are_level_but_for_rounding(off, copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    lines = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    for epoch, line in enumerate(lines):
        line["losses"] = dict.fromkeys(line["losses"], 0.7 + off * epoch)
    (run.folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = opened(page_of(run, tmp_path))
    texts = found.page.locator(".chart").first.locator("text").all_text_contents()
    assert texts.count("0.7") == 1
    assert len(texts) < 15


def test_a_single_evaluation_is_a_point(copy_of, opened, tmp_path):
    run = Run.open(copy_of("complete"))
    path = run.folder / "history.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    found = opened(page_of(run, tmp_path))
    points = found.page.locator(".chart").first.locator("circle")
    assert set(points.evaluate_all("points => points.map(point => getComputedStyle(point).opacity)")) == {"1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sign", ["", "minus"])
def test_numbers_of_the_heat_map_can_be_read(sign, scheme, report, opened):
    """A contrast of 4.5 at least (WCAG 2.2, 1.4.3), whatever the weight."""
    found = opened(report)
    found.page.emulate_media(color_scheme=scheme)
    found.show("run-1")
    contrasts = found.page.evaluate(
        """(sign) => {
            const cell = document.querySelector("#run-1 .heat td[style]:not(.own)");
            const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            const light = (colour) => {
                pen.fillStyle = colour;
                pen.fillRect(0, 0, 1, 1);
                const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
                const linear = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
            };
            cell.className = sign;
            return [...Array(101).keys()].map((i) => {
                cell.style.setProperty("--w", i / 100);
                const style = getComputedStyle(cell);
                const [a, b] = [light(style.color), light(style.backgroundColor)].sort((x, y) => y - x);
                return (a + 0.05) / (b + 0.05);
            });
        }""",
        sign,
    )
    assert min(contrasts) >= 4.5, list(enumerate(contrasts))


# The command


def test_one_run_has_no_tabs(finished, folder, capsys):
    path = folder / "one.html"
    main([str(finished("shared").run.folder), "--output", str(path), "--examples", "0"])
    assert capsys.readouterr().out == f"wrote {path}\n"
    text = path.read_text()
    assert 'data-tab="' not in text.split("<script>")[0]
    assert "This architecture does not let tasks read from each other." in text
    assert "No examples: left out by --examples 0" in text


def test_runs_that_can_be_compared_have_intervals(report):
    text = Elements(report.read_text()).text
    assert re.search(r"Star is (better than complete for (\d|none) of|within chance of complete for all) 3 tasks", text)
    assert re.search(r"[-+]\d+\.\d \[[-+]\d+\.\d, [-+]\d+\.\d\]", text)
    assert "No intervals" not in text


def test_runs_of_one_kind_have_no_intervals_and_it_is_said_why(finished, copy_of, tmp_path):
    copy = copy_of("star")
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
    main([str(finished("star").run.folder), str(copy), "--output", str(tmp_path / "r.html"), "--examples", "0"])
    assert "No intervals: the runs differ in their seeds alone." in (tmp_path / "r.html").read_text()


def test_runs_of_the_same_name_are_told_apart(copy_of, finished, tmp_path):
    copy = copy_of("star")
    other = shutil.copytree(copy, tmp_path / "other" / "run")
    main([str(copy), str(other), "--output", str(tmp_path / "r.html"), "--examples", "0"])
    for folder in (copy, other):
        assert f"<h2>{folder}</h2>" in (tmp_path / "r.html").read_text()


def test_a_report_stands_in_the_run_and_is_replaced(copy_of, finished):
    folder = copy_of("single")
    path = folder / "report.html"
    main([str(folder), "--examples", "0"])
    first = path.read_bytes()
    assert first.startswith(b"<!DOCTYPE html>")
    path.write_bytes(first + b"older")
    main([str(folder), str(finished("shared").run.folder), "--examples", "0"])
    assert b"shared" in path.read_bytes()
    main([str(folder), "--examples", "0"])
    assert path.read_bytes() == first


def test_a_report_where_a_folder_is(copy_of):
    folder = copy_of("single")
    (folder / "report.html").mkdir()
    for arguments in ([], ["--overwrite"]):
        with pytest.raises(InputError, match=r"report\.html: a folder, where a file is expected"):
            main([str(folder), *arguments])


def test_nothing_else_is_overwritten_unless_asked(finished, tmp_path):
    path = tmp_path / "r.html"
    path.write_text("precious")
    arguments = [str(finished("single").run.folder), "--output", str(path), "--examples", "0"]
    with pytest.raises(InputError, match=r"r\.html exists and is no report of graphmtl; --overwrite"):
        main(arguments)
    assert path.read_text() == "precious"
    main([*arguments, "--overwrite"])
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_the_run_is_left_as_it_is(copy_of, tmp_path):
    run = Run.open(copy_of("complete"))
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    main([str(run.folder), "--output", str(tmp_path / "r.html")])
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing"], "nothing: no such run folder"),
        ([], "required: RUN"),
        (["{run}", "--examples", "-1"], "--examples: found -1, expected 0 or more"),
        (["{run}", "--seed", "-1"], "--seed: found -1, expected 0 or more"),
        (["{run}", "--output", "r.txt"], "--output: found r.txt, expected a name that ends in .html"),
        (["{run}", "{run}/../single"], "twice, expected different runs"),
        (["{run}", "--output", "nowhere/r.html"], "--output: there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_line(arguments, problem, finished, error_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = str(finished("single").run.folder)
    assert problem in error_of("report", *(argument.format(run=folder) for argument in arguments))
