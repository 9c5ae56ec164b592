"""The book in a real Chromium: nothing from outside, no errors, readable everywhere."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nrp.book.build import build_book
from nrp.book.texts import read_pages
from nrp.book.vendor import fetch

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
PAGES = [
    *read_pages(ROOT),
    # pages that Sphinx makes from the modules, and one with their source
    "chapters/api/nrp.systems.film",
    "chapters/api/nrp.simulation.integrators",
    "_modules/nrp/systems/film",
]
AXE = ("axe-core@4.10.3", "axe.min.js")
"""The checker of accessibility: npm package, and the file in it."""
VIOLATIONS = """async options => (await axe.run(document, {preload: false, ...options}))
  .violations.filter(each => ["serious", "critical"].includes(each.impact))
  .map(each => each.id + ": " + each.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | "))"""
GROUNDS = """() => [...document.querySelectorAll('.bd-article img')]
  .map(picture => getComputedStyle(picture).backgroundColor)"""
READABLE = """() => [...document.querySelectorAll("figure[id^=fig-]")].every(
  figure => (figure.scrollWidth <= figure.clientWidth + 1 || figure.tabIndex === 0) &&
    [...figure.querySelectorAll("img")].every(img => img.clientWidth >= Math.min(img.naturalWidth, 600)))"""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}

VISIBLE_PICTURES = """() => [...document.querySelectorAll('.jupyter-widgets img')]
  .filter(picture => picture.getClientRects().length).map(picture => picture.src + picture.alt)"""
VISIBLE_SCALE = """() => [...document.querySelectorAll('.nrp-loss')]
  .filter(bars => bars.getClientRects().length).map(bars => bars.innerText.replaceAll(',', ';'))"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address(book_root, book_store):
    """Where the book is served."""
    html = build_book("mini", root=book_root, store=book_store).parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=html)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Visit:
    """A tab that reaches the book only, and remembers what went wrong."""

    def __init__(self, browser, address):
        self.address, self.outside, self.errors = address, [], []
        self.context = browser.new_context(color_scheme="light", viewport=DESKTOP)
        self.context.route("**/*", self._route)
        self.tab = self.context.new_page()
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", self._listen)

    def open(self, page):
        self.tab.goto(f"{self.address}/{page}.html", wait_until="networkidle")
        self.tab.wait_for_function("!window.MathJax || MathJax.startup.promise")
        return self.tab

    def _route(self, route):
        if route.request.url.startswith(self.address):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _listen(self, message):
        if message.type == "error":
            self.errors.append(message.text)


@pytest.fixture
def visit(chromium, address):
    """One visit in the light theme."""
    visit = Visit(chromium, address)
    yield visit
    visit.context.close()


@pytest.fixture(scope="session")
def axe(book_store):
    """The source of the checker of accessibility."""
    package, member = AXE
    target = book_store.root / "vendor" / package / member
    if not target.exists():
        fetch(package, member, target)
    return target.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_page_stands_alone_fits_and_is_accessible(visit, page, axe):
    tab = visit.open(page)
    for size in (DESKTOP, PHONE):
        tab.set_viewport_size(size)
        width = tab.evaluate("Math.max(document.body.scrollWidth, document.documentElement.scrollWidth)")
        assert width <= size["width"], f"{page} is {width} wide on {size['width']}"
    # On the phone labels of figures stay large enough to be read, and the keyboard scrolls what is too wide.
    tab.wait_for_function(READABLE)
    # Another machine has other fonts, and other folders.
    tab.add_style_tag(content="article * { letter-spacing: 0.1em !important }")
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert str(ROOT) not in tab.content()
    tab.set_viewport_size(DESKTOP)
    tab.evaluate(axe)
    assert tab.evaluate(VIOLATIONS, {}) == []
    # The dark theme has other colors, and nothing else that is its own; they must not be on their way.
    tab.add_style_tag(content="* { transition: none !important }")
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert set(tab.evaluate(GROUNDS)) <= {"rgb(255, 255, 255)"}  # that of the pictures
    assert tab.evaluate(VIOLATIONS, {"runOnly": ["color-contrast"]}) == []
    assert visit.outside == []
    assert visit.errors == []


def test_formulas_are_set(visit):
    assert visit.open("chapters/05_reduced_potential").locator("mjx-container").count() > 0


@pytest.mark.parametrize(
    ("page", "shown"), [("05_reduced_potential", VISIBLE_SCALE), ("06_validation", VISIBLE_PICTURES)]
)
def test_slider_answers_to_the_keyboard(visit, page, shown):
    tab = visit.open(f"chapters/{page}")
    tab.wait_for_selector(".jupyter-widgets .noUi-handle")
    before = tab.evaluate(shown)
    assert len(before) >= 1
    for _ in range(400):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.matches('.noUi-handle')"):
            break
    else:
        pytest.fail("the slider is not reached by the Tab key")
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function(f"before => String(({shown})()) !== before", arg=",".join(before))
    assert len(tab.evaluate(shown)) == len(before)
    assert visit.errors == []
