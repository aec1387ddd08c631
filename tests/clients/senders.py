#!/usr/bin/python3
"""Lists of senders in a real browser: a sender is allowed and blocked from a message and by hand, as recipient, domain and
global, with and without a script; what the page says of it, what becomes of the message, the exports, the history."""
import os
import subprocess

from browser import Browser
from lazaret import BINARY, Checks, arrived, demo, lmtp_send, marked, wait_for

check = Checks()
ALICE, DOMAIN = "alice@example.org", "example.org"
PROVED = b"Authentication-Results: mx.example.org; dkim=pass header.d=partner.example; spf=pass smtp.mailfrom=b@other.example\r\n"


def letter(mark, sender="partner@partner.example", proved=False, recipient=ALICE):
    message = marked(mark, recipient).replace(b"partner@partner.example>", sender.encode() + b">", 1)
    return (PROVED if proved else b"") + message


class Lists:
    """The exported files, the journal's side of it, and the commands."""

    def __init__(self, server):
        self.server = server

    def exported(self, name="rspamd-senders.map"):
        with open(os.path.join(self.server.info["lists"], name)) as file:
            return [line for line in file.read().splitlines() if not line.startswith("#")]

    def file(self, login):
        path = os.path.join(self.server.info["data"], "state/lists", login.replace("@", "%40") + ".list")
        with open(path) as file:
            return file.read()

    def run(self, *words):
        return subprocess.run([BINARY, "--config", self.server.info["config"], *words], capture_output=True, text=True)


def ask(browser, mark, word):
    """Opens a message and presses the button that leads to the question."""
    browser.go("/caught")
    browser.open(f"mark {mark}")
    button = next(a for a in browser.all(".bar a.button") if a.get_attribute("href").endswith("/" + word))
    label = button.text
    browser.submit(button)
    return label


def answer(browser, **choices):
    for group, value in choices.items():
        browser.one(f'input[name="{group}"][value="{value}"]').click()
    browser.submit(browser.one("form.question button"))
    return browser.text(".notice")


def rows(browser):
    return [" ".join(text.split()) for text in browser.texts("table.plain tbody tr")]


def allowing(server, lists, browser):
    """A recipient releases, and allows, a message whose sender is proved."""
    message = letter("allow1", proved=True)
    server.lmtp("partner@partner.example", [ALICE], message)
    label = ask(browser, "allow1", "allow")
    check("the button says what it does", label == "Release and always allow this sender", label)
    text = browser.text("main")
    check("the page says who", "only partner@partner.example" in text and "everybody at partner.example" in text, text)
    check("and that it is proved, by what", "It is proved" in text and "DKIM partner.example" in text, text)
    check("his own list is the only one", not browser.all('input[type="radio"][name="list"]'))
    browser.shot("senders-question")
    notice = answer(browser)
    check("what was done is told", "partner@partner.example is allowed in the list of alice@example.org" in notice and "1 messages are delivered" in notice, notice)
    check("it is in the file, with who and when", f"allow partner@partner.example 20" in lists.file(ALICE) and lists.file(ALICE).rstrip().endswith(ALICE), lists.file(ALICE))
    check("it is exported", lists.exported() == ['"partner@partner.example>alice@example.org" allow'], lists.exported())
    check("the message is delivered", wait_for(lambda: arrived(server.delivered(), message) == 1, 30))
    browser.go("/senders")
    check("it is on the page", len(rows(browser)) == 1 and "partner@partner.example allowed" in rows(browser)[0] and ALICE in rows(browser)[0], rows(browser))
    check("the navigation has it", "Senders" in browser.texts(".top nav a"))
    browser.go("/history")
    check("the history has it", "sender allowed" in browser.text("main") and "partner@partner.example" in browser.text("main"), browser.text("main")[:400])


def undoing(server, lists, browser):
    """The way back takes back both."""
    before = lists.exported()
    server.lmtp("partner@partner.example", [ALICE], letter("undo9", "carol@undo.example", proved=True))
    ask(browser, "undo9", "allow")
    text = browser.text("main")
    check("a signature of another domain proves nothing", "Nothing proves" in text and "DKIM" in text, text)
    notice = answer(browser, who="domain")
    check("a domain can be chosen", "undo.example is allowed" in notice, notice)
    check("it is exported as a domain", '"undo.example>alice@example.org" allow' in lists.exported(), lists.exported())
    browser.undo()
    check("undo takes both back", "says of undo.example what it said before" in browser.text(".notice") and "1 messages were taken back" in browser.text(".notice"), browser.text(".notice"))
    check("the list is as before", lists.exported() == before, lists.exported())
    check("the message is back", any("undo9" in t for t in browser.texts("table.list .subject a")))


def shared(server, browser):
    """Everybody has an address at gmail.com."""
    server.lmtp("x@gmail.com", [ALICE], letter("free1", "someone@gmail.com"))
    ask(browser, "free1", "allow")
    text = browser.text("main")
    check("of a provider only the address can be allowed", "Anybody can have an address at gmail.com" in text and not browser.all('input[value="domain"]'), text)
    server.lmtp("x@two.example", [ALICE], marked("two1").replace(b"From: Partner", b"From: a@b.example\r\nFrom: Partner", 1))
    ask(browser, "two1", "allow")
    check("of two authors nobody is allowed", "does not name one sender" in browser.text("main") and not browser.all("form.question"), browser.text("main"))


def by_hand(lists, browser):
    browser.go("/senders")

    def add(text, word):
        browser.one("#sender").send_keys(text)
        browser.submit(browser.one(f'form.senders button[value="{word}"]'))
        return browser.text(".notice")

    check("nonsense is refused", "is neither an address nor a domain" in add("a b c", "allow"), browser.text(".notice"))
    check("a provider as a whole is refused", "anybody can have an address at gmail.com" in add("gmail.com", "allow"), browser.text(".notice"))
    check("a public suffix is refused", "belongs to nobody in particular" in add("co.uk", "allow"), browser.text(".notice"))
    check("a domain is blocked", "spam.example is blocked" in add("*.Spam.example", "block"), browser.text(".notice"))
    check("it is shown", any("spam.example blocked" in row for row in rows(browser)), rows(browser))
    check("allowing replaces it", "spam.example is allowed" in add("spam.example", "allow") and sum("spam.example" in row for row in rows(browser)) == 1, rows(browser))
    browser.shot("senders")
    button = next(b for b in browser.all("table.plain button") if "spam.example" in b.get_attribute("aria-label"))
    browser.submit(button)
    check("it can be removed", "is no longer in the list" in browser.text(".notice") and not any("spam.example" in row for row in rows(browser)), rows(browser))
    check("the export has it no more", not any("spam.example" in line for line in lists.exported()), lists.exported())


def blocking(server, lists, browser, login, path="/caught"):
    """A wider account blocks the sender of a message, and has it removed."""
    mark = f"block{login[:3]}"
    server.lmtp("bulk@bulk.example", [ALICE], letter(mark, f"{login[:3]}@bulk.example"))
    label = ask(browser, mark, "block")
    check(f"{login}: the button", label == "Block this sender", label)
    choices = [r.get_attribute("value") for r in browser.all('input[type="radio"][name="list"]')]
    expected = ["global", "example.org", ALICE] if login == "global" else []
    check(f"{login}: whose lists", choices == expected, choices)
    notice = answer(browser)
    check(f"{login}: what was done is told", f"{login[:3]}@bulk.example is blocked in the list of {login}" in notice and "moved to Trash" in notice, notice)
    check(f"{login}: it is exported", f'"{login[:3]}@bulk.example>{login}" block' in lists.exported(), lists.exported())
    browser.go("/senders")
    if login == "global":
        server.lmtp("bulk@bulk.example", [ALICE], letter("least", "least@bulk.example"))
        ask(browser, "least", "allow")
        chosen = [r.get_attribute("value") for r in browser.all('input[type="radio"][name="list"]') if r.is_selected()]
        check("who allows for others does it for one first", chosen == [ALICE], chosen)
        answer(browser, list=DOMAIN)
        check("or for a domain", '"least@bulk.example>example.org" allow' in lists.exported(), lists.exported())
        browser.go("/senders")
    check(f"{login}: it is on the page", any(f"{login[:3]}@bulk.example blocked" in row for row in rows(browser)), rows(browser))


def wider_blocks(server, lists, alice, wide):
    """What global blocks nobody allows; each account sees its own list only."""
    wide.go("/senders")
    wide.one("#sender").send_keys("partner.example")
    wide.submit(wide.one('form.senders button[value="block"]'))
    check("Postfix is told who is blocked for everybody", any(line.startswith("partner.example REJECT") for line in lists.exported("postfix-senders")), lists.exported("postfix-senders"))
    check("and of nobody else", not any("exa@bulk" in line for line in lists.exported("postfix-senders")))
    alice.go("/senders")
    check("a recipient sees that his entry does not count", any("blocked all the same by global" in row for row in rows(alice)), rows(alice))
    alice.go("/senders?list=global")
    check("a recipient does not see the global list", "List of alice@example.org" in alice.text("main") and "may change its own list" in alice.text(".notice"), alice.text("main"))
    alice.go("/senders")
    alice.driver.execute_script("document.querySelector('form.senders input[name=list]').value = 'global'")
    alice.one("#sender").send_keys("evil.example")
    alice.submit(alice.one('form.senders button[value="allow"]'))
    check("nor does he change it", "may change its own list" in alice.text(".notice") and not any("evil.example" in line for line in lists.exported()), alice.text(".notice"))
    wide.go("/senders")
    wide.one("#whose").send_keys(ALICE)
    wide.submit(wide.one("form.search button"))
    check("global sees a recipient's list", "List of alice@example.org" in wide.text("main") and any("partner@partner.example" in row for row in rows(wide)), wide.text("main"))
    wide.go("/senders")
    check("and which there are", any(ALICE in t for t in wide.texts("main li")), wide.texts("main li"))


def commands(lists):
    done = lists.run("allow", "--for", DOMAIN, "good.example", "com", "nonsense here")
    check("allow", "good.example: allowed in the list of example.org" in done.stdout and "com: com belongs to nobody" in done.stdout and done.returncode != 0, done.stdout + done.stderr)
    done = lists.run("lists", DOMAIN)
    check("lists", "good.example" in done.stdout and "command" in done.stdout, done.stdout)
    check("lists, all", all(word in lists.run("lists").stdout for word in ("global", ALICE, "but blocked by global")), lists.run("lists").stdout)
    check("block", lists.run("block", "worse.example").returncode == 0 and '"worse.example>global" block' in lists.exported())
    done = lists.run("unlist", "worse.example", "--json")
    check("unlist", '"outcome":"unlisted"' in done.stdout and '"worse.example>global" block' not in lists.exported(), done.stdout)
    check("no such list", lists.run("allow", "--for", "nobody.example", "a.example").returncode == 67)


with demo() as server:
    lists = Lists(server)
    with Browser(server.info["page"]) as alice, Browser(server.info["page"], script=False) as wide:
        alice.sign_in(ALICE)
        with check.part("allowing"):
            allowing(server, lists, alice)
        with check.part("undo"):
            undoing(server, lists, alice)
        with check.part("shared domains"):
            shared(server, alice)
        with check.part("by hand"):
            by_hand(lists, alice)
        for login in (DOMAIN, "global"):
            with check.part(f"blocking as {login}, without a script"):
                wide.sign_in(login)
                blocking(server, lists, wide, login)
                if login == DOMAIN:
                    wide.sign_out()
        with check.part("wider lists"):
            wider_blocks(server, lists, alice, wide)
        with check.part("commands"):
            commands(lists)
        with check.part("history"):
            wide.go("/history")
            text = wide.text("main")
            for wanted in ("sender allowed", "sender blocked", "sender taken off the list"):
                check(f"the history has: {wanted}", wanted in text, text[:400])
            alice.go("/history")
            check("a recipient is not told of others' lists", "worse.example" not in alice.text("main") and "worse.example" in text, alice.text("main")[:400])
check.finish()
