"""The report and DVC's plots as a reader meets them: drawn in a headless Chromium that has no network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.report import __main__ as report
from tests import browser, plots_page
from tests.report_inputs import Made
from tests.study_page import NETWORKS
from tests.workspace import ROOT, commit, dvc, git, read_params_file

drawn = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "a browser is here")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.browser() as running:
        yield running


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page whose names try to break out of it."""
    folder = tmp_path_factory.mktemp("page")
    hostile = ("<script>alert(1)</script>", "C</script>\"'&")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Made(folder, models=("alexnet", "</script><b>"), clips=hostile, patient="<i>").write()
        report.main()
    return folder / "metrics/report.html"


@drawn
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_draws_every_chart_without_a_network(chromium: Any, page_file: Path, width: int, dark: bool) -> None:
    with browser.opened(chromium, page_file, width, dark=dark) as page:
        browser.wait_for_charts(page)
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(
            "Array.from(document.querySelectorAll('.plot'), (plot) => {"
            " const box = (plot.querySelector('svg') || plot).getBoundingClientRect();"
            " return [plot.id, plot.querySelectorAll('svg').length, box.width, box.height]; })"
        )
        assert len(sizes) > 20
        assert [of for of in sizes if of[1] != 1 or of[2] < 100 or of[3] < 40 or of[2] > width] == []


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with the study's networks, whose names fill a legend."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Made(folder, models=NETWORKS, protocols=("frame", "patient")).write()
        report.main()
    return folder / "metrics/report.html"


CUT = """() => Array.from(document.querySelectorAll('.plot svg'), (svg) => {
  const box = svg.getBoundingClientRect();
  const outside = (of) => of.width > 0 && (of.right > box.right + 1 || of.left < box.left - 1
    || of.top < box.top - 1 || of.bottom > box.bottom + 1);
  const texts = Array.from(svg.querySelectorAll('text')).filter((text) => text.textContent);
  return [svg.closest('.plot').dataset.says, texts.length,
    texts.filter((text) => outside(text.getBoundingClientRect())).map((text) => text.textContent)];
})"""


@drawn
@pytest.mark.parametrize("width", [1400, 390])
def test_no_chart_cuts_a_word(chromium: Any, study_file: Path, width: int) -> None:
    with browser.opened(chromium, study_file, width) as page:
        browser.wait_for_charts(page)
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        found = page.evaluate(CUT)
        assert len(found) > 20
        assert [of for of in found if not of[1]] == []
        assert [of for of in found if of[2]] == []
        legends = page.evaluate(
            "Array.from(document.querySelectorAll('.role-legend-label text'), (of) => of.textContent)"
        )
        assert set(NETWORKS) <= set(legends)  # whole names: Vega shortens with an ellipsis what it finds too long


@drawn
def test_marks_are_drawn_and_not_only_axes(chromium: Any, page_file: Path) -> None:
    with browser.opened(chromium, page_file) as page:
        browser.wait_for_charts(page)
        empty = page.evaluate(
            "Array.from(document.querySelectorAll('.plot')).filter((plot) =>"
            " !plot.querySelector('[class*=mark-][role=graphics-object] path, [class*=mark-][role=graphics-symbol],"
            " [role=graphics-symbol]')).map((plot) => plot.dataset.says)"
        )
        assert empty == []


@drawn
def test_a_click_on_a_name_dims_the_other_lines(chromium: Any, page_file: Path) -> None:
    dimmed = (
        "(plot) => Array.from(plot.querySelectorAll('.mark-line path'), (line) => line.getAttribute('opacity') || '1')"
    )
    with browser.opened(chromium, page_file) as page:
        browser.wait_for_charts(page)
        plot = page.locator(".plot", has=page.locator(".mark-line path")).filter(has_text="alexnet").first
        assert set(plot.evaluate(dimmed)) == {"1"}
        plot.locator(".role-legend-label text", has_text="alexnet").click(force=True)
        page.wait_for_timeout(500)
        assert set(plot.evaluate(dimmed)) == {"1", "0.1"}


@drawn
def test_the_page_reads_in_dark_and_on_paper(chromium: Any, page_file: Path, tmp_path: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    shades = {}
    for dark in (False, True):
        with browser.opened(chromium, page_file, dark=dark) as page:
            browser.wait_for_charts(page)
            shades[dark] = page.evaluate(background)
            if dark:
                page.emulate_media(media="print", color_scheme="dark")
                assert page.evaluate(background) == shades[False] == "rgb(255, 255, 255)"
            page.pdf(path=str(tmp_path / "page.pdf"))
    assert shades[True] != shades[False]
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@drawn
def test_the_browser_forbids_the_page_every_request(chromium: Any, page_file: Path) -> None:
    with browser.opened(chromium, page_file) as page:
        browser.wait_for_charts(page)
        said = page.evaluate("fetch('https://example.org/').then(() => 'sent', (error) => error.message)")
        assert said != "sent"
        assert any("Content Security Policy" in complaint for complaint in page.complaints)


# ---- dvc plots


def test_the_plots_page_is_what_the_pinned_bundle_gives() -> None:
    assert plots_page.PAGE.read_text(encoding="utf-8") == plots_page.page(), "run python -m tests.plots_page"


def test_a_fresh_clone_is_set_to_use_it() -> None:
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text(encoding="utf-8")
    assert git(ROOT, "ls-files", ".dvc/plots/page.html").strip(), "the page must be in Git: DVC cannot make it"


@pytest.fixture(scope="module")
def plots_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with this one's plots and made-up tables, changed since the last commit."""
    root = tmp_path_factory.mktemp("plots")
    Made(root).write()
    git(root, "init", "-q")
    dvc(root, "init", "-q")
    shutil.copy2(ROOT / ".dvc/config", root / ".dvc/config")
    shutil.copytree(ROOT / ".dvc/plots", root / ".dvc/plots")
    plots = [of for of in read_params_file(ROOT / "dvc.yaml")["plots"] if tables_of(of) <= files_below(root)]
    with (root / "dvc.yaml").open("w") as file:
        YAML().dump({"plots": plots}, file)
    (root / ".gitignore").write_text("/dvc_plots\n")
    commit(root, "tables")
    scores = root / "metrics/plots/scores.csv"
    scores.write_text(scores.read_text().replace("0.900000", "0.700000"))
    return root


def tables_of(plot: dict[str, Any]) -> set[str]:
    return set(next(iter(plot.values()))["y"])


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*.csv")}


@pytest.mark.parametrize("command", [("show",), ("diff", "HEAD")], ids=["show", "diff"])
def test_dvc_plots_needs_no_network(plots_project: Path, command: tuple[str, ...], request: Any) -> None:
    dvc(plots_project, "plots", *command)
    file = plots_project / "dvc_plots/index.html"
    html = file.read_text(encoding="utf-8")
    assert "cdn" not in html
    assert "<script src" not in html
    assert html.count("vegaEmbed('#") >= 5
    if browser.missing():
        pytest.skip(browser.missing())
    with browser.opened(request.getfixturevalue("chromium"), file) as page:
        page.wait_for_timeout(500)
        page.wait_for_function("document.querySelectorAll('div[id] svg.marks').length >= 5", timeout=60_000)
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
        blank = (
            "Array.from(document.querySelectorAll('svg.marks')).filter((svg) => !svg.querySelector('path[aria-label]'))"
        )
        assert page.evaluate(f"{blank}.length") == 0
