#!/usr/bin/python3
"""The page in a real browser without a script: list, search, act, undo, long work, requests, everything that the script makes quicker."""
import concurrent.futures
import subprocess

from browser import Browser, By
from lazaret import BINARY, Checks, arrived, bring, demo, lmtp_send, marked, wait_for

check = Checks()
ALICE, MANY = "alice@example.org", 400


def subjects(browser):
    return [text.splitlines()[0] for text in browser.texts("table.list .subject a")]


def acting(server, browser):
    mail = bring(server, ["plain1", "plain2", "plain3"])
    browser.sign_in(ALICE, "wrong")
    check("a wrong password is refused", "wrong" in browser.text(".refusal"))
    browser.sign_in(ALICE)
    check("no script runs", browser.all("label.all[hidden]") and not browser.one("label.all").is_displayed())
    check("the page says that times are UTC", "UTC" in browser.text("footer"), browser.text("footer"))
    browser.one("#q").send_keys("plain1")
    browser.submit(browser.one(".search button"))
    check("a search", subjects(browser) == ["mark plain1"], subjects(browser))
    browser.open("plain1")
    check("a message", "mark plain1" in browser.text("h1"))
    browser.go("/caught")
    browser.tick("mark plain1")
    check("release", "1 messages are delivered" in browser.act("release"), browser.text(".notice"))
    check("undo", "1 messages were taken back" in browser.undo() and "mark plain1" in subjects(browser))
    browser.tick("mark plain2")
    browser.act("release")
    browser.tick("mark plain3")
    check("delete", "moved to Trash" in browser.act("delete"))
    browser.go("/trash")
    browser.tick("mark plain3")
    check("restore", "1 messages are back" in browser.act("restore"))
    browser.go("/caught")
    check("nothing chosen is told", "Select a message first" in browser.act("spam"), browser.text(".notice"))
    check("what was released arrives", wait_for(lambda: arrived(server.delivered(), mail["plain2"]) == 1, 30))
    check("what was taken back does not", arrived(server.delivered(), mail["plain1"]) == 0)


def requesting(server, browser):
    message = marked("plague9")
    lmtp_send(server.info["doors"]["incoming virus"], "evil@evil.example", [ALICE], message)
    browser.go("/caught")
    browser.tick("mark plague9")
    check("a request is filed", "request" in browser.act("release"), browser.text(".notice"))
    browser.sign_out()
    browser.sign_in("example.org")
    browser.go("/requests")
    row = next(r for r in browser.all("main tbody tr") if "plague9" in r.text)
    browser.submit(row.find_element(By.CSS_SELECTOR, 'button[value="grant"]'))
    check("and granted", "was granted" in browser.text(".notice"), browser.text(".notice"))
    browser.sign_out()
    check("it is delivered", wait_for(lambda: arrived(server.delivered(), message) == 1, 30))


def working(server, browser):
    who = "bulk@example.org"
    subprocess.run([BINARY, "--config", server.info["config"], "user", "add", who], input="lazaret\n", text=True, check=True, capture_output=True)
    mail = [marked(f"bulk{n}", who) for n in range(MANY)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda m: server.lmtp("partner@partner.example", [who], m), mail))
    browser.sign_in(who)
    browser.one("#whole").click()
    browser.submit(browser.one('button[value="delete"]'))
    check("long work ends in the list by itself", wait_for(lambda: browser.path == "/caught", 30), browser.path)
    check("and tells its outcome", f"{MANY} messages were moved to Trash" in browser.text(".notice"), browser.text(".notice"))
    check("undo of all", f"{MANY} messages were taken back" in browser.undo() and browser.count() == MANY, browser.text(".notice"))


with demo() as server, Browser(server.info["page"], script=False) as browser:
    for part in (acting, requesting, working):
        with check.part(part.__name__):
            part(server, browser)
check.finish()
