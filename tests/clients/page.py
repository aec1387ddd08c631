#!/usr/bin/python3
"""The page in a real browser, with its script: as recipient, domain and global, everything that can be done there."""
import base64
import concurrent.futures
import os
import subprocess
import time

from browser import Browser, By, Keys, webdriver
from lazaret import BINARY, Checks, arrived, body, bring, demo, find, lmtp_send, marked, ok, wait_for

check = Checks()
ALICE, DOMAIN = "alice@example.org", "example.org"
MANY = 1_100


def letter(mark, content):
    """A message with text, HTML and an attachment."""
    return (
        f"From: Shop <shop@shop.example>\r\nTo: {ALICE}\r\nSubject: mark {mark}\r\nMessage-ID: <{mark}@shop.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
        "--a\r\nContent-Type: text/plain\r\n\r\nplain words of the letter\r\n--a\r\nContent-Type: text/html\r\n\r\n"
        "<h1>Grand sale</h1><p>html words of the letter</p><script>window.xss=1</script>\r\n--a--\r\n"
        '--m\r\nContent-Type: application/pdf; name="price list.pdf"\r\nContent-Disposition: attachment; filename="price list.pdf"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--m--\r\n"
    )


def subjects(browser):
    return [text.splitlines()[0] for text in browser.texts("table.list .subject a")]


def search(browser, text):
    field = browser.one("#q")
    field.clear()
    field.send_keys(text)
    browser.submit(browser.one(".search button"))
    return subjects(browser)


def signing_in(browser):
    browser.go("/caught")
    check("a stranger is led to the sign-in", browser.path == "/sign-in", browser.path)
    browser.sign_in(ALICE, "wrong")
    check("a wrong password is refused with a sentence", "Login or password is wrong" in browser.text(".refusal"), browser.text())
    check("the login that was typed is kept", browser.one("#login").get_attribute("value") == ALICE)
    browser.sign_in(ALICE)
    check("the right one leads to the list", browser.path == "/caught" and browser.rows(), browser.path)
    check("the page says who is signed in", browser.text(".login") == ALICE)
    check("the script takes away that times are UTC", "UTC" not in browser.text("footer"), browser.text("footer"))


def searching(server, browser):
    bring(server, ["needle1"])
    lmtp_send(server.info["doors"]["incoming virus"], "evil@evil.example", [ALICE], marked("plague1"))
    check("search: words", search(browser, "needle1") == ["mark needle1"], subjects(browser))
    check("search: from:", "mark needle1" in search(browser, "from:partner@partner.example") and "Shop" not in browser.text("table"))
    check("search: kind:virus", search(browser, "kind:virus") == ["mark plague1"], subjects(browser))
    check("search: the list says what kind it is", "virus" in browser.text("table .badge"), browser.text("table"))
    check("search: not", "mark needle1" not in search(browser, "from:partner -needle1"))
    search(browser, "before:nonsense")
    check("a search that makes no sense is told with the piece", "before:nonsense" in browser.text(".refusal"), browser.text())
    check("nothing found is told", not search(browser, "nowhere-to-be-found") and "Nothing was found" in browser.text(".empty"))
    browser.submit(browser.one(".search a"))
    check("a search can be cleared", browser.path == "/caught" and len(browser.rows()) > 1)


def reading(server, browser):
    content = os.urandom(3_000)
    message = letter("letter1", content)
    server.lmtp("shop@shop.example", [ALICE], message)
    browser.go("/caught")
    check("a new message is unread", "unread" in browser.row("letter1").get_attribute("class"))
    browser.open("letter1")
    shown = browser.text("article.message")
    check("a message shows its text", "plain words of the letter" in shown, shown)
    check("it says why it was caught", "Why it was caught" in shown)
    check("its HTML is not shown at once", not browser.all("iframe"))
    browser.submit(browser.one('a[href*="html=1"]'))
    browser.driver.execute_script("document.querySelector('iframe').scrollIntoView()")
    browser.driver.switch_to.frame(browser.one("iframe"))
    check("its HTML is shown in a frame on demand", wait_for(lambda: "html words of the letter" in browser.text(), 5), browser.text())
    browser.driver.switch_to.default_content()
    name, saved = browser.download(browser.one("p.actions a[download]"))
    imap = server.imap(server.account(ALICE))
    ok(imap.select("Caught"))
    whole = body(imap, find(imap, "letter1")[0])
    check("the download is the message to the byte", saved == message, name)
    check("it is BODY[] of IMAP without the trace", whole.endswith(saved) and len(whole) > len(saved))
    imap.logout()
    name, saved = browser.download(browser.one('a[href*="/part/"]'))
    check("an attachment is saved under its name, to the byte", saved == content and name == "price list.pdf", name)
    browser.submit(browser.one("a[data-back]"))
    check("what was opened is read", "unread" not in (browser.row("letter1").get_attribute("class") or ""))


def releasing(server, browser):
    """What is delivered comes after the time in which it can be undone; it is looked for at the end."""
    mail = bring(server, ["rel1", "undo1", "ham1", "spam1", "rt1", "del1", "gone1", "back1", "page1"])
    browser.go("/caught")
    before = browser.count()
    browser.tick("mark rel1")
    check("how many are selected is told", browser.text("#selected") == "1 selected", browser.text("#selected"))
    notice = browser.act("release")
    check("a release is told, with a way back", "1 messages are delivered" in notice and "Undo" in notice, notice)
    check("it has left the list", browser.count() == before - 1 and "mark rel1" not in subjects(browser))
    browser.tick("mark undo1")
    browser.act("release")
    check("undo within the time brings it back", "1 messages were taken back" in browser.undo(), browser.text(".notice"))
    check("it is in the list again", "mark undo1" in subjects(browser) and browser.count() == before - 1)
    browser.tick("mark ham1")
    check("not spam is told", "reported as not spam" in browser.act("not-spam"), browser.text(".notice"))
    browser.tick("mark spam1")
    check("spam is told", "reported as spam" in browser.act("spam"), browser.text(".notice"))
    browser.tick("mark rt1")
    check("release and train is told", "learns from them" in browser.act("release-train"), browser.text(".notice"))
    browser.open("mark page1")
    check("a message's own page releases it", "1 messages are delivered" in browser.act("release"), browser.text(".notice"))
    trash = browser.count("/trash")
    browser.tick("mark del1", "mark gone1", "mark back1")
    check("delete puts into Trash", "3 messages were moved to Trash" in browser.act("delete") and browser.count("/trash") == trash + 3, browser.text(".notice"))
    check("delete can be undone", "3 messages were taken back" in browser.undo() and browser.count("/trash") == trash, browser.text(".notice"))
    browser.tick("mark gone1", "mark back1")
    browser.act("delete")
    browser.go("/trash")
    browser.tick("mark back1")
    check("Trash gives back", "1 messages are back" in browser.act("restore"), browser.text(".notice"))
    check("Trash does not have it any more", "mark back1" not in subjects(browser))
    browser.tick("mark gone1")
    check("Trash removes for good", "removed for good" in browser.act("remove") and "mark gone1" not in subjects(browser), browser.text(".notice"))
    browser.go("/caught")
    check("what came back is in the list", "mark back1" in subjects(browser))
    check("what was removed is nowhere", "mark gone1" not in subjects(browser))
    browser.one('button[value="release"]').click()
    check("an action without a choice is told at once", wait_for(lambda: "Select a message first" in browser.text("#live"), 5), browser.text("#live"))
    return mail


def requesting(server, alice, wide):
    """`wide` is another browser, signed in as the domain."""
    plague = {mark: marked(mark) for mark in ("plague2", "plague3")}
    for message in plague.values():
        lmtp_send(server.info["doors"]["incoming virus"], "evil@evil.example", [ALICE], message)
    alice.go("/caught")
    alice.tick("mark plague2", "mark plague3")
    notice = alice.act("release")
    check("a recipient's release of a virus is refused, and requested", "2 were left alone" in notice and "request" in notice, notice)
    alice.go("/requests")
    check("who requested sees it", len(alice.all("main tbody tr")) == 2 and not alice.all("main tbody button"), alice.text())
    wide.go("/requests")
    check("the domain's count shows it", wide.count("/requests") == 2, wide.texts(".top a"))
    rows = wide.texts("main tbody tr")
    check("the domain sees who wants what", len(rows) == 2 and all(ALICE in r and "release" in r and "plague" in r for r in rows), rows)

    def decide(mark, decision):
        row = next(r for r in wide.all("main tbody tr") if mark in r.text)
        wide.submit(row.find_element(By.CSS_SELECTOR, f'button[value="{decision}"]'))
        return wide.text(".notice")

    check("granting is told, with a way back", "was granted" in (notice := decide("plague2", "grant")) and "Undo" in notice, wide.text(".notice"))
    check("declining is told", "was declined" in decide("plague3", "decline"), wide.text(".notice"))
    check("nothing waits any more", wide.count("/requests") == 0 and not wide.all("main tbody tr"))
    return plague


def reporting(server, browser):
    """Uploads a message that was saved from a mail program."""
    message = marked("upload1")
    path = os.path.join(browser.folder.name, "upload1.eml")
    with open(path, "wb") as file:
        file.write(message)
    browser.go("/report")
    browser.one("#file").send_keys(path)
    browser.submit(browser.one("main button"))
    check("an upload is told", "was handed in" in browser.text(".notice"), browser.text(".notice"))
    check("it reaches the filter to the byte", wait_for(lambda: message in server.trained("spam"), 30))


def keyboard(server, browser):
    bring(server, ["key1", "key2", "key3"])
    browser.go("/caught")
    here = lambda: browser.text("tr.here .subject")  # noqa: E731
    for key, wanted in (("j", "key3"), ("j", "key2"), ("j", "key1"), ("k", "key2")):
        browser.press(key)
        check(f"{key} goes to {wanted}", wanted in here(), here())
    browser.press("x")
    check("x selects", [r.text for r in browser.rows() if r.find_element(By.CSS_SELECTOR, "input").is_selected()] == [browser.row("key2").text])
    browser.press("x")
    browser.press(Keys.ENTER)
    check("Enter opens", wait_for(lambda: "mark key2" in browser.text("h1"), 10), browser.path)
    browser.press("u")
    check("u goes back", wait_for(lambda: browser.path == "/caught" and browser.rows(), 10), browser.path)
    browser.press("?")
    check("? shows the keys", browser.one("#keys").get_attribute("open") is not None and "next, previous" in browser.text("#keys"))
    browser.press("/")
    check("/ goes to the search", browser.driver.switch_to.active_element.get_attribute("id") == "q")
    browser.press("j")
    check("keys within a field are letters", browser.one("#q").get_attribute("value") == "j")
    browser.press(Keys.ESCAPE)
    browser.press("j")
    browser.press("r")
    check("r releases where one is", wait_for(lambda: "1 messages are delivered" in browser.text(".notice"), 10), browser.text(".notice"))
    check("that was the newest", "mark key3" not in subjects(browser))
    browser.undo()
    check("undo after a key brings it back", "mark key3" in subjects(browser))


def selecting(browser):
    browser.go("/caught")
    boxes = browser.all('input[name="m"]')
    browser.one("#all").click()
    check("one box selects all", all(b.is_selected() for b in boxes) and browser.text("#selected") == f"{len(boxes)} selected", browser.text("#selected"))
    browser.one("#all").click()
    check("and none", not any(b.is_selected() for b in boxes))
    boxes[1].click()
    webdriver.ActionChains(browser.driver).key_down(Keys.SHIFT).click(boxes[5]).key_up(Keys.SHIFT).perform()
    check("shift selects a range", [b.is_selected() for b in boxes[:8]] == [False] + [True] * 5 + [False] * 2, [b.is_selected() for b in boxes])


def live(server, browser):
    browser.go("/caught")
    time.sleep(1)  # until the stream is open
    before, took = browser.count(), []
    address = browser.driver.current_url
    browser.driver.execute_script("window.same = 1")
    for number in range(5):
        server.lmtp("partner@partner.example", [ALICE], marked(f"live{number}"))
        began = time.monotonic()
        wait_for(lambda n=number: browser.count() == before + n + 1, 10)
        took.append((time.monotonic() - began) * 1_000)
    check("arrivals are counted without a reload", browser.count() == before + 5 and browser.driver.execute_script("return window.same") == 1)
    check("a notice offers to show them", "New mail has come in" in browser.text("#live"), browser.text("#live"))
    check("that takes no longer than two seconds", max(took) < 2_000, took)
    print(f"arrival to count: median {sorted(took)[2]:.0f} ms, slowest {max(took):.0f} ms")
    browser.submit(browser.one("#live a"))
    check("and shows them", browser.driver.current_url == address and "mark live4" in subjects(browser))


def thousand(server, browser):
    """All messages of a list, in the background."""
    who = "bulk@example.org"
    added = subprocess.run([BINARY, "--config", server.info["config"], "user", "add", who], input="lazaret\n", capture_output=True, text=True)
    check("a new account", added.returncode == 0, added.stderr)
    mail = {f"bulk{n}": marked(f"bulk{n}", who) for n in range(MANY)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda m: server.lmtp("partner@partner.example", [who], m), mail.values()))
    browser.sign_in(who)
    check("all are counted", browser.count() == MANY, browser.texts(".top a"))
    check("a page has a part of them, and leads on", 20 <= len(browser.rows()) <= 100 and browser.all('a[rel="next"]'))
    browser.submit(browser.one('a[rel="next"]'))
    check("older ones follow, newest are reached again", browser.all('a[rel="first"]') and "bulk" in subjects(browser)[0])
    browser.go("/caught")
    browser.one("#whole").click()
    check("the box says how many", f"{MANY}" in browser.text(".whole"), browser.text(".whole"))
    began = time.monotonic()
    browser.submit(browser.one('button[value="release"]'))
    seen = browser.path.startswith("/work/") and browser.all("progress")
    check("work in the background has a page with a bar", bool(seen) or browser.path == "/caught", browser.path)
    check("it ends in the list", wait_for(lambda: browser.path == "/caught", 60), browser.path)
    print(f"asked for {MANY} releases in {time.monotonic() - began:.1f} s, bar {'seen' if seen else 'too quick to be seen'}")
    check("its outcome is told", f"{MANY} messages are delivered" in browser.text(".notice"), browser.text(".notice"))
    check("the list is empty", browser.count() == 0 and not browser.rows())
    return mail


def wide_views(server, browser):
    """The domain and the global account in one browser, one after the other."""
    lmtp_send(server.info["lmtp"], "partner@partner.example", ["carol@example.net"], marked("net1", "carol@example.net"))
    for login, sees in ((DOMAIN, False), ("global", True)):
        browser.sign_in(login)
        check(f"{login} sees a recipient column", "Recipient" in browser.text("thead"))
        check(f"{login} searches recipients", search(browser, f"to:{ALICE} undo1") == ["mark undo1"], subjects(browser))
        check(f"{login} sees other domains: {sees}", bool(search(browser, "net1")) == sees, subjects(browser))
        for path, wanted in (("/status", "Messages of the last 48 hours"), ("/history", "delivered"), ("/requests", "Requests"), ("/report", "File")):
            browser.go(path)
            check(f"{login}: {path}", wanted in browser.text("main"), browser.text("main")[:300])
        browser.go("/status")
        check(f"{login}: status has a chart", len(browser.all("svg.chart rect")) == 48)
        check(f"{login}: status knows the accounts below", ALICE in browser.text("main"))
        browser.sign_out()


def languages(browser):
    for code, sign_in, caught in (("de", "Anmelden", "Abgefangen"), ("fr", "Se connecter", "Interceptés"), ("es", "Entrar", "Interceptados")):
        browser.cdp("Network.enable")
        browser.cdp("Network.setExtraHTTPHeaders", headers={"Accept-Language": f"{code}-XX,{code};q=0.9,en;q=0.1"})
        browser.go("/sign-in")
        check(f"{code}: the sign-in", browser.text("button") == sign_in, browser.text("button"))
        browser.sign_in(ALICE)
        check(f"{code}: the list", browser.text("h1") == caught and browser.one("html").get_attribute("lang") == code, browser.text("h1"))
        browser.sign_out()
    browser.cdp("Network.setExtraHTTPHeaders", headers={})


def leaving(browser):
    browser.sign_in(ALICE)
    browser.go("/caught")
    browser.open("undo1")
    browser.sign_out()
    check("signing out leads to the sign-in", browser.path == "/sign-in", browser.path)
    for _ in range(3):
        browser.driver.back()
        time.sleep(0.3)
        check("going back shows nothing", browser.path == "/sign-in" and "undo1" not in browser.driver.page_source, browser.path)
    browser.go("/caught")
    check("nor does the address", browser.path == "/sign-in", browser.path)


with demo() as server:
    base = server.info["page"]
    with Browser(base) as alice, Browser(base) as wide:
        mail, plague, many = {}, {}, {}
        with check.part("signing in"):
            signing_in(alice)
            wide.sign_in(DOMAIN)
        with check.part("search"):
            searching(server, alice)
        with check.part("reading"):
            reading(server, alice)
        with check.part("actions"):
            mail = releasing(server, alice)
        with check.part("requests"):
            plague = requesting(server, alice, wide)
            wide.sign_out()
        with check.part("a thousand"):
            many = thousand(server, wide)
            wide.sign_out()
        with check.part("reports"):
            reporting(server, alice)
        with check.part("keyboard"):
            keyboard(server, alice)
        with check.part("selecting"):
            selecting(alice)
        with check.part("news"):
            live(server, alice)
        with check.part("what became of it"):
            for mark in ("rel1", "rt1", "page1"):
                check(f"{mark} is delivered once", wait_for(lambda m=mark: arrived(server.delivered(), mail[m]) == 1, 30))
            check("a request that was granted is delivered", wait_for(lambda: arrived(server.delivered(), plague["plague2"]) == 1, 30))
            for mark, what in (("ham1", "ham"), ("rt1", "ham"), ("spam1", "spam")):
                check(f"{mark} is learned as {what}", wait_for(lambda m=mark, w=what: mail[m] in server.trained(w), 30))
            began = time.monotonic()
            wait_for(lambda: len(server.delivered()) >= MANY + 4, 120)
            delivered = server.delivered()
            ends = {}
            for message in delivered:
                for line in message.split(b"\r\n"):
                    if line.startswith(b"Subject: mark bulk"):
                        ends.setdefault(line[14:].decode(), []).append(message)
            wrong = [mark for mark, message in many.items() if arrived(ends.get(mark, []), message) != 1]
            check("all of the thousand arrive, each once, to the byte", many and not wrong and len(ends) == MANY, wrong[:5])
            print(f"waited {time.monotonic() - began:.1f} s for the last of them")
            for mark, message in {**{m: mail[m] for m in ("undo1", "del1", "gone1", "back1")}, "plague3": plague["plague3"]}.items():
                check(f"{mark} was never delivered", arrived(delivered, message) == 0)
        with check.part("history"):
            alice.go("/history")
            text = alice.text("main")
            for wanted in ("delivered", "learned by the filter", "request granted", "request declined", "taken back", "moved to Trash", "removed for good"):
                check(f"the history has: {wanted}", wanted in text, text[:500])
        with check.part("wider accounts"):
            wide_views(server, wide)
        with check.part("languages"):
            languages(wide)
        with check.part("signing out"):
            leaving(alice)
        noise = [e for b in (alice, wide) for e in b.driver.get_log("browser") if e["level"] == "SEVERE" and not any(c in e["message"] for c in ("403", "Blocked script execution"))]
        check("the browser has nothing to complain about", not noise, noise[:3])
check.finish()
