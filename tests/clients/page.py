"""The map page as a person uses it, at a desk and on a phone, in light and dark, with screenshots.

    python page.py URL BROWSER FOLDER

Prints `publish` when it wants the running forecast's next step, and `finish` when it wants all of them.
"""

import sys
import time
from urllib.parse import urlsplit

from browser import Browser

# the field that was asked for is there, with its legend
SHOWN = "document.querySelector('.pane .legend:not([hidden])') && document.querySelector('#busy').hidden && !document.querySelector('#timeline').hidden"
DESK, PHONE = (1440, 900), (390, 844)
# parts of the map that nothing covers
AT_DESK, AT_PHONE = (420, 200, 400, 500), (60, 330, 280, 120)
METEOGRAM = "document.querySelector('#meteogram .uplot canvas')"


def text(selector):
    return f"document.querySelector({selector!r})?.textContent"


def say(word):
    print(word, flush=True)


def settled(page, part):
    """The picture of a part of the map when nothing moves any more."""
    before = None
    for _ in range(100):
        page.until(SHOWN)
        colors, picture = page.picture(*part)
        if picture == before:
            return colors, picture
        before = picture
        time.sleep(0.1)
    raise AssertionError("the map does not come to rest")


def changed(page, part, act, what):
    """Something that must change the map's picture does so, and leaves a picture and no blank."""
    before = settled(page, part)[1]
    act()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        colors, picture = settled(page, part)
        if picture != before:
            assert len(colors) > 30, f"{what}: {len(colors)} colours"
            return
    raise AssertionError(f"{what}: the map does not change")


def choose(page, box, value):
    page.run(f"document.querySelector('#{box} input[value=\"{value}\"]').click()")


def check(page, box):
    page.run(f"document.querySelector('#{box}').click()")


def opened(page, url, part):
    """Opens an address; seconds until the first picture of the forecast."""
    begin = time.monotonic()
    page.open(url)
    page.until(f"{SHOWN}")
    seconds = time.monotonic() - begin
    assert len(settled(page, part)[0]) > 30
    return seconds


def named(page):
    """Everything that a person can act on has a name that a screen reader can say."""
    nameless = page.run(
        """[...document.querySelectorAll('button, select, input, a, dialog, section, [role=group]')].filter((element) => {
          if (element.closest('[hidden]')) return false;
          const labels = element.labels ? [...element.labels].map((label) => label.textContent).join('') : '';
          const name = element.getAttribute('aria-label') || element.title || labels || element.textContent;
          return !name.trim();
        }).map((element) => element.outerHTML.slice(0, 120))"""
    )
    assert not nameless, nameless


def at_a_desk(page, url, folder):
    page.size(*DESK)
    page.scheme("light")
    page.call("Emulation.setTimezoneOverride", timezoneId="Europe/Copenhagen")
    say(f"first picture after {opened(page, url, AT_DESK):.2f} s, 1440x900")
    assert "2 Jan 2001 00 UTC" in page.run("document.querySelector('#run').selectedOptions[0].text")
    assert page.run(text("#progress .text")) == "6 of 21 steps"
    assert page.run("document.querySelector('#coasts').disabled"), "a made-up planet has no coasts"
    named(page)
    page.screenshot(f"{folder}/desk.png")

    # the run goes on while one looks
    say("publish")
    page.until(f"{text('#progress .text')} === '7 of 21 steps'")
    changed(page, AT_DESK, lambda: page.key("ArrowRight"), "a step later")
    assert page.run(text("#lead")) == "+6 h", page.run(text("#lead"))
    page.run("document.querySelector('#time').value = 20; document.querySelector('#time').dispatchEvent(new Event('input'))")
    page.until(f"{text('#note span')}.includes('not there yet')")
    page.until(f"{text('#lead')} === '+36 h'")

    changed(page, AT_DESK, lambda: choose(page, "variables", "u"), "another variable")
    changed(page, AT_DESK, lambda: choose(page, "levels", "250hPa"), "another level")
    changed(page, AT_DESK, lambda: page.key("ArrowDown"), "the level below")
    assert page.run("document.querySelector('#levels input:checked').value") == "500hPa"
    changed(page, AT_DESK, lambda: page.run("document.querySelector('#zoom-in').click()"), "closer")
    changed(page, AT_DESK, lambda: check(page, "wind"), "barbs")
    changed(page, AT_DESK, lambda: check(page, "lines"), "contours")

    page.move(700, 430)
    page.until(f"/[NS], .*[EW]/.test({text('.caption .place')}) && /m.s/.test({text('.caption .value')})")
    page.click(700, 430)
    page.until(METEOGRAM)
    page.until(f"/ kn from \\d+°/.test({text('#meteogram .plots')})")
    page.screenshot(f"{folder}/desk-meteogram.png")

    # times in UTC and in the person's own zone
    page.run("document.querySelector('#zone').click()")
    assert page.run(text("#zone")) == "Local" and "UTC" in page.run(text("#other"))
    assert page.run(text("#valid")).startswith("Wed 3 Jan 13:00"), page.run(text("#valid"))
    page.run("document.querySelector('#zone').click()")

    # the link alone brings back the same map
    page.until("['point=', 'level=500hPa', 'wind=on', 'lines=on'].every((part) => location.hash.includes(part))")
    link, lead, before = page.run("location.href"), page.run(text("#lead")), settled(page, AT_DESK)[1]
    page.open("about:blank")
    opened(page, link, AT_DESK)
    page.until(METEOGRAM)
    assert page.run(text("#lead")) == lead and "variable=u" in page.run("location.hash")
    same = sum(a == b for a, b in zip(before, settled(page, AT_DESK)[1])) / len(before)
    assert same > 0.9, f"{same:.2f} of the picture is as it was"

    # the same field of the run before, beside it; and the difference
    page.key("Escape")
    page.until("document.querySelector('#meteogram').hidden")
    changed(page, AT_DESK, lambda: check(page, "difference"), "the difference")
    assert "minus 1 Jan 2001 00 UTC" in page.run(text(".caption .run"))
    page.screenshot(f"{folder}/desk-difference.png")
    changed(page, AT_DESK, lambda: check(page, "difference"), "the field again")
    check(page, "split")
    page.until(f"document.querySelectorAll('.pane .legend:not([hidden])').length === 2 && {SHOWN}")
    assert "1 Jan 2001 00 UTC +6 h" not in page.run("document.querySelectorAll('.caption .run')[0].textContent")
    assert "1 Jan 2001 00 UTC" in page.run("document.querySelectorAll('.caption .run')[1].textContent")
    settled(page, AT_DESK)
    page.screenshot(f"{folder}/desk-two.png")
    page.until("location.hash.includes('2.forecast=')")
    check(page, "split")
    page.until("document.querySelectorAll('.pane').length === 1")

    page.run("document.querySelector('#play').click()")
    page.until("document.querySelector('#play').getAttribute('aria-pressed') === 'true'")
    page.until(f"{text('#lead')} === '+6 h'")
    page.until(f"{text('#lead')} === '+12 h'")
    page.run("document.querySelector('#play').click()")
    say("finish")
    page.until("document.querySelector('#progress').hidden")

    # no forecasts can be asked for here, and the page says so
    check(page, "open-runs")
    page.until(f"{text('#request-answer')}.includes('no [runs]') && document.querySelector('#request').hidden")
    page.run("document.querySelector('#runs .close').click()")
    page.run("document.querySelector('#theme').click()")
    settled(page, AT_DESK)
    page.screenshot(f"{folder}/desk-dark.png")
    page.run("document.querySelector('#theme').click()")


def on_a_phone(page, url, folder):
    page.size(*PHONE, mobile=True, scale=2)
    page.scheme("dark")
    page.open("about:blank")
    say(f"first picture after {opened(page, url, AT_PHONE):.2f} s, 390x844")
    page.screenshot(f"{folder}/phone.png")
    changed(page, AT_PHONE, lambda: page.key("ArrowRight"), "a step later")
    page.click(195, 500)
    page.until(METEOGRAM)
    settled(page, AT_PHONE)
    page.screenshot(f"{folder}/phone-meteogram.png")
    assert page.run("document.documentElement.scrollWidth") <= 390
    covered = page.run(
        """(() => { const pin = document.querySelector('.pin').getBoundingClientRect();
          const sheet = document.querySelector('#meteogram').getBoundingClientRect();
          return pin.bottom > sheet.top; })()"""
    )
    assert not covered, "the meteogram covers its place"
    page.run("document.querySelector('#more').click()")
    page.screenshot(f"{folder}/phone-more.png")
    page.run("document.querySelector('#more').click()")


def done(page, url, folder):
    """What holds at the end of every visit: nothing was asked of anybody else, and nothing was complained of."""
    asked = [request for request in page.requests if urlsplit(request).scheme in ("http", "https")]
    elsewhere = [request for request in asked if urlsplit(request).netloc != urlsplit(url).netloc]
    assert not elsewhere, f"requests to other servers: {elsewhere}"
    assert not page.errors, f"the console says: {page.errors}"
    say(f"{len(asked)} requests; screenshots in {folder}")


def visit(url, program, folder, *acts):
    page = Browser(program)
    try:
        # the browser itself begins to draw before anything is measured
        page.run("document.createElement('canvas').getContext('webgl2') !== null")
        for act in acts:
            act(page, url, folder)
        done(page, url, folder)
    except BaseException:
        page.screenshot(f"{folder}/failed.png")
        raise
    finally:
        page.close()


if __name__ == "__main__":
    visit(*sys.argv[1:], at_a_desk, on_a_phone)
