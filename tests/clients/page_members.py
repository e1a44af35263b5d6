"""The map page with an ensemble: members, what is made of them, and their curves at a place.

    python page_members.py URL BROWSER FOLDER
"""

import sys

from page import AT_DESK, AT_PHONE, DESK, METEOGRAM, PHONE, SHOWN, changed, named, opened, say, settled, text, visit

MEMBER = "document.querySelector('#member')"


def member(page, name):
    page.run(f"{MEMBER}.value = '{name}'; {MEMBER}.dispatchEvent(new Event('change'))")


def at_a_desk(page, url, folder):
    page.size(*DESK)
    page.scheme("light")
    opened(page, url, AT_DESK)
    names = page.run(f"[...{MEMBER}.options].map((option) => option.text)")
    assert names[:6] == ["Control", "Mean", "Spread", "10 % quantile", "Median", "90 % quantile"], names
    assert "Probability above 0 K" in names and names[-2:] == ["Member 1", "Member 2"], names
    named(page)

    # each has its own picture, colours and value
    page.move(700, 430)
    value = "Number.parseFloat(document.querySelector('.caption .value').textContent.replace('−', '-'))"
    page.until(f"/\\d °C/.test({text('.caption .value')})")
    control = page.run(value)
    changed(page, AT_DESK, lambda: member(page, "2"), "another member")
    assert page.run(text(".caption .run")).startswith("Member 2 · "), page.run(text(".caption .run"))
    page.move(701, 430)
    page.until(f"Math.abs({value} - {control} - 2) < 0.3")
    changed(page, AT_DESK, lambda: member(page, "mean"), "the mean")
    page.move(700, 430)
    page.until(f"Math.abs({value} - {control} - 1) < 0.3")
    changed(page, AT_DESK, lambda: member(page, "q90"), "a quantile")
    member(page, "spread")
    page.until(f"{text('.caption .run')}.startsWith('Spread · ') && {SHOWN}")
    page.move(701, 430)
    page.until(f"Math.abs({value} - 1) < 0.1")
    page.run("document.querySelector('#lines').click()")
    settled(page, AT_DESK)
    page.screenshot(f"{folder}/members-spread.png")
    page.run("document.querySelector('#lines').click()")
    member(page, "500hPa_above_0")
    page.until(f"{text('.caption .run')}.startsWith('Probability above 0 K · ') && {SHOWN}")

    # what another level, or a variable that follows from others, does not have becomes the control
    page.key("ArrowDown")
    page.until(f"{text('.caption .run')}.startsWith('Control · ')")
    page.key("ArrowUp")
    page.until("document.querySelector('#levels input:checked').value === '500hPa'")

    # by the keys, one after the other
    page.run("document.activeElement.blur()")
    changed(page, AT_DESK, lambda: page.key("m"), "the next member")
    assert page.run(f"{MEMBER}.value") == "mean"
    page.key("M")
    page.until(f"{MEMBER}.value === ''")

    # all members at a place; the link brings member and place back
    member(page, "1")
    page.click(700, 430)
    page.until(METEOGRAM)
    page.until(f"{text('#meteogram .key')}.startsWith('3 members: median') && {text('#meteogram .key')}.endsWith('member 1')")
    page.until(f"/°C \\(.* to .*\\)/.test({text('#meteogram .plots')})")
    assert "Wind, 500 hPa of member 1" in page.run(text("#meteogram .plots"))
    assert "(" in page.run(text("#meteogram table td:nth-child(2)")), "the table for those who do not see curves"
    page.screenshot(f"{folder}/members-desk.png")
    page.until("['member=1', 'point='].every((part) => location.hash.includes(part))")
    link = page.run("location.href")
    page.open("about:blank")
    opened(page, link, AT_DESK)
    page.until(METEOGRAM)
    assert page.run(f"{MEMBER}.value") == "1"


def on_a_phone(page, url, folder):
    page.size(*PHONE, mobile=True, scale=2)
    page.scheme("dark")
    page.open("about:blank")
    opened(page, url, AT_PHONE)
    changed(page, AT_PHONE, lambda: member(page, "mean"), "the mean")
    boxes = page.run(
        """['#member', '#levels'].map((selector) => document.querySelector(selector).getBoundingClientRect())
          .map(({ left, right, top, bottom }) => [left, right, top, bottom])"""
    )
    (left, right, top, bottom), (_, beside, _, _) = boxes
    assert beside <= left and right <= PHONE[0] and bottom - top >= 36, boxes
    page.click(195, 500)
    page.until(METEOGRAM)
    settled(page, AT_PHONE)
    assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
    page.screenshot(f"{folder}/members-phone.png")
    say("members, statistics and curves of an ensemble")


if __name__ == "__main__":
    visit(*sys.argv[1:], at_a_desk, on_a_phone)
