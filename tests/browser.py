"""A headless, offline Chromium for the pages that this project writes; tests skip where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def missing() -> str:
    """Return why no page can be drawn here; empty where one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ModuleNotFoundError:
        return "playwright is not installed: pip install -r requirements.txt"
    return "" if CHROMIUM else "no chromium found: apt-get install chromium"


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@contextmanager
def opened(
    running: Any, file: Path, width: int = 1400, height: int = 900, dark: bool = False, **more: Any
) -> Iterator[Any]:
    """Yield a file as a page of an offline context; `page.asked` lists every request, `page.complaints` every error.

    Args:
        running: what `browser` yields.
        file: the HTML file.
        width, height: of the window in CSS pixels.
        dark: whether the reader prefers dark.
        more: other settings of the context.
    """
    context = running.new_context(
        offline=True, viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **more
    )
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.goto(file.resolve().as_uri(), timeout=120_000)  # as long as the charts may take: a loaded machine
    yield page
    context.close()


def wait_for_charts(page: Any) -> None:
    """Return when the report's own script says that every chart is drawn."""
    page.wait_for_selector("html[data-charts=drawn]", timeout=120_000)
