"""Asking for forecasts on the map page, of a server that computes them.

    python page_runs.py URL BROWSER FOLDER
"""

import sys

from page import AT_DESK, AT_PHONE, DESK, METEOGRAM, PHONE, SHOWN, changed, check, choose, say, settled, text, visit


def ask(page, lead_time):
    check(page, "open-runs")
    page.until("!document.querySelector('#request').hidden")
    # the sample's path names no times, so that one must be given
    page.run("document.querySelector('#request [name=reference_time]').value = '2001-01-01T00:00Z'")
    page.run(f"document.querySelector('#request [name=lead_time]').value = '{lead_time}'")
    page.run("document.querySelector('#request button[type=submit]').click()")


def steps(page):
    """How many steps of how many the page says that there are; all of them when it says nothing any more."""
    return page.run("document.querySelector('#progress').hidden ? 'all' : document.querySelector('#progress .text').textContent")


def at_a_desk(page, url, folder):
    page.size(*DESK)
    page.scheme("dark")
    page.open(url)
    page.until(f"{text('#message strong')} === 'No forecasts yet' && !document.querySelector('#message').hidden")
    page.screenshot(f"{folder}/runs-none.png")

    # what cannot be is said, and nothing is begun
    ask(page, "7h")
    page.until(f"{text('#request-answer')}.includes('no multiple of the model')")
    assert len(page.errors) == 1 and "400" in page.errors.pop(), "the browser notes that it was refused"
    page.run("document.querySelector('#request [name=lead_time]').value = '15d'")
    page.run("document.querySelector('#request button[type=submit]').click()")
    page.until(f"{text('#request-answer')}.startsWith('Asked for')")
    page.until("document.querySelector('#run-list progress')")
    page.screenshot(f"{folder}/runs-asked.png")
    page.run("document.querySelector('#runs .close').click()")

    # its steps fill in while one looks
    page.until(SHOWN, 60)
    seen = {steps(page)}
    page.until("document.querySelector('#progress').hidden || (window.seen ??= new Set()).add(document.querySelector('#progress .text').textContent).size > 3", 60)
    seen |= set(page.run("[...(window.seen ?? [])]"))
    page.until("document.querySelector('#progress').hidden", 120)
    say(f"steps seen while the run went on: {sorted(seen)}")
    assert len(seen) > 1, seen
    settled(page, AT_DESK)
    page.screenshot(f"{folder}/runs-desk.png")
    changed(page, AT_DESK, lambda: page.key("End"), "the last step")
    assert page.run(text("#lead")) == "+360 h", page.run(text("#lead"))

    # the same request again joins the run that there is; another one can be cancelled
    ask(page, "15d")
    page.until(f"{text('#request-answer')}.startsWith('There is such a run')")
    page.run("document.querySelector('#runs .close').click()")


def on_a_phone(page, url, folder):
    page.size(*PHONE, mobile=True, scale=2)
    page.scheme("light")
    page.open("about:blank")
    page.open(url)
    page.until(f"{SHOWN}")
    page.run("document.querySelector('#more').click()")
    ask(page, "10d")
    page.until(f"{text('#request-answer')}.startsWith('Asked for')")
    page.screenshot(f"{folder}/runs-phone-asked.png")
    page.run("document.querySelector('#runs .close').click()")
    page.run("document.querySelector('#more').click()")
    page.until("location.hash.includes('forecast=') && !location.hash.includes('latest') && document.querySelector('#progress').hidden", 120)
    changed(page, AT_PHONE, lambda: choose(page, "levels", "850hPa"), "another level")
    page.click(195, 500)
    page.until(METEOGRAM)
    settled(page, AT_PHONE)
    page.screenshot(f"{folder}/runs-phone.png")


if __name__ == "__main__":
    visit(*sys.argv[1:], at_a_desk, on_a_phone)
