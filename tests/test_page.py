"""The search page in a real browser: words, pictures, filters, bars, items, keys and themes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need the package playwright")

from page_world import TOKEN, build_collection, draw, served  # noqa: E402  # after the packages it needs were found

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt install chromium)")

WIDTHS = {"phone": (390, 844), "tablet": (820, 1100), "wide": (1440, 900)}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("page") / "shapes"
    build_collection(path)
    with pytest.MonkeyPatch.context() as patch, served(path, patch) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read"])
    page = context.new_page()
    page.set_default_timeout(20_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.wait_for_selector(".card")
    page.faults = faults
    yield page
    context.close()
    # A page that breaks its content-security policy, or answers that fail, would be named here.
    assert [fault for fault in faults if "401" not in fault and "422" not in fault] == []


def until(page: Any, expression: str) -> None:
    """Wait until a JavaScript expression holds. (The browser driver's own way needs eval, which the page forbids.)"""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def ask(page: Any, words: str) -> None:
    with page.expect_response("**/v1/search"):
        page.fill("#words", words)
        page.press("#words", "Enter")
    until(page, "!document.body.classList.contains('busy')")


def captions(page: Any) -> list[str]:
    return page.locator("#results .words").all_text_contents()


def test_a_fresh_page_shows_what_there_is(page: Any) -> None:
    assert "180 items" in page.inner_text("#notice")
    assert page.locator("#results .card").count() == 24


def test_words_find_pictures_and_the_address_holds_the_search(page: Any, address: str) -> None:
    ask(page, "a red circle")
    assert set(captions(page)[:5]) == {"a red circle"}
    assert "q=a+red+circle" in page.url
    assert page.inner_text("#summary").startswith("The nearest 24 pictures")
    page.goto(page.url)  # as somebody else who was given the address
    page.wait_for_selector(".card .closeness")
    assert set(captions(page)[:5]) == {"a red circle"}
    page.goto(address + "/?q=a+blue+square&among=text&k=12")
    page.wait_for_selector(".card .closeness")
    assert page.locator("#results.texts .card").count() == 12
    assert set(captions(page)[:5]) == {"a blue square"}


def test_back_returns_to_the_search_before(page: Any) -> None:
    ask(page, "a red circle")
    ask(page, "a green square")
    with page.expect_response("**/v1/search"):
        page.go_back()
    until(page, "document.querySelector('#words').value === 'a red circle'")
    until(page, "document.querySelector('#results .words').textContent === 'a red circle'")


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_asks(page: Any, tmp_path: Path, way: str) -> None:
    file = tmp_path / "mine.png"
    file.write_bytes(draw("square", "purple", 3))
    with page.expect_response("**/v1/search"):
        if way == "choose":
            page.set_input_files("#file", file)
        else:
            page.evaluate(
                """([bytes, way]) => {
                    const data = new DataTransfer();
                    data.items.add(new File([new Uint8Array(bytes)], "mine.png", {type: "image/png"}));
                    const event = way === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true})
                                                 : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
                    document.body.dispatchEvent(event);
                }""",
                [list(file.read_bytes()), way],
            )
    until(page, "document.querySelector('#results .closeness') !== null")
    assert captions(page)[0] == "a purple square"
    assert page.is_visible("#chip-picture")
    until(page, "location.search.includes('code=')")  # so that the search can be shared
    with page.expect_response("**/v1/search"):
        page.check("input[name=among][value=text]", force=True)
    until(page, "document.querySelector('#results.texts .words') !== null")
    assert captions(page)[0] == "a purple square"
    page.click("#chip-clear")
    assert page.is_visible("#words")


def test_a_file_that_is_no_picture_is_refused_in_words(page: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture at all")
    with page.expect_response("**/v1/search") as answer:
        page.set_input_files("#file", bad)
    assert answer.value.status == 422
    page.wait_for_selector("#notice.failed")
    assert "picture cannot be used" in page.inner_text("#notice")


def test_filters_narrow_and_can_be_cleared(page: Any) -> None:
    ask(page, "a red circle")
    with page.expect_response("**/v1/search"):
        page.get_by_role("checkbox", name="blue").check()
    until(page, "document.querySelector('#results .words').textContent.includes('blue')")
    assert all("blue" in caption for caption in captions(page))
    assert "f.colour=blue" in page.url
    with page.expect_response("**/v1/search"):
        page.get_by_role("checkbox", name="2016").check()
    until(page, "document.querySelectorAll('#results .card').length < 24")
    with page.expect_response("**/v1/search"):
        page.get_by_role("checkbox", name="blue").uncheck()
    until(page, "!location.search.includes('colour')")


def test_nothing_close_enough_offers_to_lower_the_bar(page: Any) -> None:
    ask(page, "red")
    with page.expect_response("**/v1/search"):
        page.fill("#bar", "99")
        page.dispatch_event("#bar", "change")
    until(page, "document.querySelector('#summary').textContent === 'Nothing is close enough'")
    assert page.locator("#results .card").count() == 0
    with page.expect_response("**/v1/search"):
        page.get_by_role("button", name="Lower the bar to it").click()
    page.wait_for_selector("#results .card")
    assert "min=" in page.url


def test_more_like_this_asks_with_the_item(page: Any) -> None:
    ask(page, "a yellow triangle")
    with page.expect_response("**/v1/search"):
        page.locator(".card .like").first.click()
    until(page, "location.search.includes('item=yellow')")
    until(page, "document.querySelector('#results .words').textContent === 'a yellow triangle'")
    assert "Like yellow/triangle" in page.inner_text("#chip")


def test_an_item_shows_its_columns_and_where_its_code_differs(page: Any) -> None:
    ask(page, "a grey square")
    page.locator(".card .open").first.click()
    page.wait_for_selector("#item .bits")
    text = page.inner_text("#item")
    assert "Colour\ngrey" in text
    assert "Year" in text
    distance = int(text.split("Distance\n")[1].split(" of ")[0])
    assert page.locator("#item .bits i").count() == 32
    assert page.locator("#item .bits i.differs").count() == distance
    page.keyboard.press("Escape")
    assert not page.is_visible("#item")


def test_an_item_is_added_and_removed_with_a_token(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "new.png"
    file.write_bytes(draw("circle", "green", 1))
    page.click("#open-add")
    page.fill("#add-form [name=id]", "my new one")
    page.fill("#add-form [name=text]", "a green circle")
    page.set_input_files("#add-form [name=picture]", file)
    page.fill("#add-form [name='column:year']", "2020")
    page.fill("#add-form [name=token]", "not the token at all")
    page.click("#add-form [type=submit]")
    page.wait_for_selector("#add-problem:not([hidden])")
    assert "token" in page.inner_text("#add-problem")
    page.fill("#add-form [name=token]", TOKEN)
    with page.expect_response("**/v1/search"):
        page.click("#add-form [type=submit]")
    until(page, "location.search.includes('item=my+new+one')")
    ask_again = page.locator("#chip-clear")
    ask_again.click()
    ask(page, "a green circle")
    page.locator(".card[data-id='my new one'] .open").click()
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_response("**/v1/search"):
        page.get_by_role("button", name="Remove").click()
    until(page, "document.querySelector(\"[data-id='my new one']\") === null")


def test_everything_is_reached_by_keys(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("a red square")
    with page.expect_response("**/v1/search"):
        page.keyboard.press("Enter")
    page.wait_for_selector(".card .closeness")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    focused = "document.activeElement.closest('.card')?.dataset.id"
    second = page.evaluate("document.querySelectorAll('.card')[1].dataset.id")
    assert page.evaluate(focused) == second
    page.keyboard.press("Enter")
    page.wait_for_selector("#item .bits")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.closest('.card') !== null")
    with page.expect_response("**/v1/search"):
        page.keyboard.press("m")
    until(page, "location.search.includes('item=')")


def test_the_curl_finds_the_same(page: Any, address: str) -> None:
    ask(page, "it's a red circle")
    page.evaluate("navigator.clipboard.writeText = (words) => { window.copied = words; return Promise.resolve(); }")
    page.click("#curl")
    words = page.evaluate("window.copied")
    assert words.startswith(f"curl -s {address}/v1/search")
    assert "'it'\\''s a red circle'" in words or "it'\\''s a red circle" in words


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_themes_and_widths_have_no_serious_accessibility_fault(
    browser: Any, address: str, theme: str, width: str, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    size = {"width": WIDTHS[width][0], "height": WIDTHS[width][1]}
    context = browser.new_context(viewport=size, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/?q=a+red+circle")
    page.wait_for_selector(".card .closeness")
    kept = Path(os.environ.get("CROSSBIT_SCREENSHOTS") or tmp_path)
    page.screenshot(path=kept / f"page-{theme}-{width}.png")
    serious = faults_of(axe, page)
    page.locator(".card .open").first.click()
    page.wait_for_selector("#item .bits")
    page.screenshot(path=kept / f"item-{theme}-{width}.png")
    serious += faults_of(axe, page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert serious == []
    assert (background == "rgb(19, 22, 21)") == (theme == "dark")


def faults_of(axe: Any, page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")
    ]


def test_the_theme_is_chosen_and_remembered(page: Any) -> None:
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    page.wait_for_selector(".card")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 22, 21)"


def test_many_results_are_made_as_they_come_into_view(page: Any, address: str) -> None:
    page.goto(f"{address}/?q=a+red+circle&k=240")
    page.wait_for_selector(".card .closeness")
    first = page.locator("#results .card").count()
    assert first < 180
    for _ in range(4):  # further down each time, as there is more
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(300)
    until(page, "document.querySelectorAll('#results .card').length === 180")


def test_the_interface_is_described_without_another_host(page: Any, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs")
    page.wait_for_selector("details")
    assert "/v1/search" in page.inner_text("main")
    assert all(url.startswith(address) for url in asked)
