"""The map page as a person uses it, at a desk and on a phone, with screenshots.

    python page.py URL BROWSER FOLDER

Prints `publish` when it wants the running forecast's next step, and `finish` when it wants all of them.
"""

import sys
import time
from urllib.parse import urlsplit

from browser import Browser

SHOWN = "document.querySelector('#legend:not([hidden])') && document.querySelector('#busy').hidden && !document.querySelector('#timeline').hidden"
# How many different colours the middle of the map has: a picture, not a blank.
COLORS = """(() => { const map = document.querySelector('#map');
  const pixels = map.getContext('2d').getImageData(map.width / 2, map.height * 0.25, 4, map.height * 0.5).data;
  const seen = new Set();
  for (let i = 0; i < pixels.length; i += 4) seen.add(pixels.slice(i, i + 3).join());
  return seen.size; })()"""
PICTURE = """(() => { const map = document.querySelector('#map');
  const pixels = map.getContext('2d').getImageData(0, map.height / 4, map.width, map.height / 4).data;
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 4) sum = (sum * 31 + pixels[i] + 7 * pixels[i + 1] + 13 * pixels[i + 2]) | 0;
  return sum; })()"""


def text(selector):
    return f"document.querySelector({selector!r}).textContent"


def say(word):
    print(word, flush=True)


def changed(page, act, what):
    """The map's picture after something that must change it."""
    before = page.run(PICTURE)
    act()
    page.until(f"{PICTURE} !== {before} && {SHOWN}")
    assert page.run(COLORS) > 30, what


def choose(page, box, value):
    page.run(f"document.querySelector('#{box} input[value=\"{value}\"]').click()")


def at_a_desk(page, url, folder):
    page.size(1440, 900)
    page.scheme("light")
    begin = time.monotonic()
    page.open(url)
    page.until(SHOWN)
    page.until(f"{COLORS} > 30")
    say(f"first picture after {time.monotonic() - begin:.2f} s")
    assert "2 Jan 2001 00 UTC" in page.run("document.querySelector('#run').selectedOptions[0].text")
    assert page.run(text("#progress .text")) == "6 of 21 steps"
    page.screenshot(f"{folder}/desk.png")

    # the run goes on while one looks
    say("publish")
    page.until(f"{text('#progress .text')} === '7 of 21 steps'")
    changed(page, lambda: page.key("ArrowRight"), "a step later")
    assert page.run(text("#lead")).startswith("+6 h"), page.run(text("#lead"))
    page.run("document.querySelector('#time').value = 20; document.querySelector('#time').dispatchEvent(new Event('input'))")
    page.until(f"{text('#note')}.includes('not there yet')")
    page.until(f"{text('#lead')}.startsWith('+36 h')")

    changed(page, lambda: choose(page, "variables", "u"), "another variable")
    changed(page, lambda: choose(page, "levels", "250hPa"), "another level")
    changed(page, lambda: page.key("ArrowDown"), "the level below")
    assert page.run("document.querySelector('#levels input:checked').value") == "500hPa"
    changed(page, lambda: page.run("document.querySelector('#zoom-in').click()"), "closer")

    page.move(700, 330)
    page.until(f"/[NS], .*[EW]/.test({text('#legend .title')}) && /m.s/.test({text('#legend .value')})")
    page.click(700, 330)
    page.until("document.querySelector('#meteogram svg polyline')")
    page.screenshot(f"{folder}/desk-meteogram.png")

    # the link alone brings back the same map
    page.until("location.hash.includes('point=') && location.hash.includes('level=500hPa')")
    link, lead = page.run("location.href"), page.run(text("#lead"))
    page.open("about:blank")
    page.open(link)
    page.until(f"typeof document.querySelector('#lead')?.textContent === 'string' && {SHOWN}")
    page.until("document.querySelector('#meteogram svg polyline')")
    assert page.run(text("#lead")) == lead and "variable=u" in page.run("location.hash")

    page.key("Escape")
    page.until("document.querySelector('#meteogram').hidden")
    page.run("document.querySelector('#play').click()")
    page.until("document.querySelector('#play').getAttribute('aria-pressed') === 'true'")
    page.until(f"{text('#lead')}.startsWith('+12 h')")
    page.run("document.querySelector('#play').click()")

    say("finish")
    page.until("document.querySelector('#progress').hidden")


def on_a_phone(page, url, folder):
    page.size(390, 844, mobile=True, scale=2)
    page.scheme("dark")
    page.open("about:blank")
    page.open(url)
    page.until(f"document.querySelector('#legend') && {SHOWN}")
    page.until(f"{COLORS} > 30")
    page.screenshot(f"{folder}/phone.png")
    page.click(195, 330)
    page.until("document.querySelector('#meteogram svg polyline')")
    page.screenshot(f"{folder}/phone-meteogram.png")
    assert page.run("document.documentElement.scrollWidth") <= 390
    covered = page.run("document.elementFromPoint(195, 330).id")
    assert covered == "map", f"{covered} covers the place that was asked for"


def main(url, program, folder):
    page = Browser(program)
    try:
        at_a_desk(page, url, folder)
        on_a_phone(page, url, folder)
        elsewhere = [request for request in page.requests if urlsplit(request).scheme in ("http", "https") and urlsplit(request).netloc != urlsplit(url).netloc]
        assert not elsewhere, f"requests to other servers: {elsewhere}"
        assert not page.errors, f"the console says: {page.errors}"
        say(f"{len(page.requests)} requests; screenshots in {folder}")
    except BaseException:
        page.screenshot(f"{folder}/failed.png")
        raise
    finally:
        page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
