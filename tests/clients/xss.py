#!/usr/bin/python3
"""Hostile mails (tests/xss/make.py) in a real browser: nothing runs, nothing is loaded from elsewhere, nothing moves the page.

Each mail's page, its frame with the HTML, the frame's document alone, its text and its source are opened, and the lists.
What was requested is taken from Chromium's own log, for every frame, whether the request was answered or not. A control
page that does what the mails try proves that each of the checks can fail.
"""
import concurrent.futures
import http.server
import os
import re
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from browser import Browser
from lazaret import ROOT, Checks, demo, split
from web import Http

check = Checks()
ALICE = "alice@example.org"
BROWSERS = 3
# Set before any script of any frame: what a mail that could run would do, and would be seen doing.
WATCH = """
Object.defineProperty(window, 'xss', { set(v) { console.error('XSS-RAN xss ' + location.href); }, get() { return undefined; }, configurable: false });
for (const name of ['alert', 'confirm', 'prompt', 'open', 'print']) window[name] = () => { console.error('XSS-RAN ' + name + ' ' + location.href); };
"""


class Control(http.server.BaseHTTPRequestHandler):
    """A page that is as bad as the mails want it."""

    html = b"""<!DOCTYPE html><title>control</title><img src="http://canary.invalid/control-img" onerror="window.xss=1">
        <script>alert(1)</script><iframe srcdoc="<script>parent.xss=1</script><img src='http://canary.invalid/control-frame'>"></iframe>
        <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><a id=go href="http://canary.invalid/control-link">x</a>
        <script>fetch(URL.createObjectURL(new Blob(['x']))); setTimeout(() => { document.title = 'moved'; document.getElementById('go').click(); }, 300)</script>"""

    def do_GET(self):  # noqa: N802 - the name is that of the library
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.html)

    def log_message(self, *_):
        pass


def foreign(urls, base):
    """Those that are not of the page's own origin; the browser's blank page is nobody's."""
    origin = urllib.parse.urlsplit(base)[:2]
    return [u for u in urls if urllib.parse.urlsplit(u)[:2] != origin and not u.startswith(("about:blank", "about:srcdoc", "chrome:"))]


def ran(browser):
    return [e["message"] for e in browser.driver.get_log("browser") if "XSS-RAN" in e["message"]]


def control(browser):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser.requests(), ran(browser)
    browser.go(f"http://127.0.0.1:{server.server_port}/")
    time.sleep(1.5)
    found, did = foreign(browser.requests(), f"http://127.0.0.1:{server.server_port}/"), ran(browser)
    for what in ("control-img", "control-frame", "control-link"):
        check(f"control: {what} is seen", any(what in u for u in found), found)
    for what in ("data:", "blob:"):
        check(f"control: {what} is seen", any(u.startswith(what) for u in found), [u[:60] for u in found])
    check("control: scripts that run are seen", any("alert" in d for d in did) and sum("xss" in d for d in did) >= 2, did)
    server.shutdown()


def deliver(server, folder):
    """Brings the mails in; the names of those that the door takes as they are."""
    door = smtplib.LMTP(*split(server.info["lmtp"]), timeout=60)
    door.ehlo()
    names = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".eml"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        door.mail("eve@canary.invalid", ["BODY=8BITMIME"])
        door.docmd("RCPT", f"TO:<{ALICE}>")
        door.docmd("DATA")
        # Lines that only a bare LF ends may begin with a dot, too.
        door.send(re.sub(rb"(^|\n)\.", rb"\1..", data) + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        code, text = door.getreply()
        if check(f"{name} is taken", code == 250, text):
            names.append(name)
    door.close()
    return names


def pages(server):
    """Every list page and every message's address, by plain HTTP."""
    http_ = Http(server.info["page"])
    http_.sign_in(ALICE)
    lists, messages, path = [], [], "/caught"
    while path:
        lists.append(path)
        text = http_.get(path).text
        messages += re.findall(r'<td class="subject"><a href="([^"]+)"', text)
        older = re.search(r'<a href="([^"]+)" rel="next"', text)
        path = older and older[1].replace("&amp;", "&")
    return http_, lists, messages


STATE = "return [location.pathname + location.search, document.title, document.body ? document.body.innerText.trim().length : 0]"


def look(browser, path):
    """Opens one page; what is wrong with it. A dialog that is open makes every one of these commands fail."""
    browser.go(path)
    wrong = []
    if path.endswith("?html=1"):
        # Its frame is loaded when it comes into view.
        frame = browser.one("iframe")
        browser.driver.execute_script("arguments[0].loading = 'eager'; arguments[0].scrollIntoView()", frame)
        browser.driver.switch_to.frame(frame)
        browser.driver.switch_to.default_content()
    address, title, letters = browser.driver.execute_script(STATE)
    if address != path:
        wrong.append(f"the address is {address}")
    if not path.endswith("/html") and not (title == "Lazaret" or title.endswith(" · Lazaret")):
        wrong.append(f"the title is {title!r}")
    if not path.endswith("/html") and not letters:
        wrong.append("the page is empty")
    return wrong


def ways(messages, http_):
    """The pages of these messages: each one's own, with its frame where there is HTML, and the frame's document alone. Text
    and source, which hold no markup of the mail's, of every message only when time does not matter (LAZARET_LONG=1)."""
    every = 1 if os.environ.get("LAZARET_LONG") else 6
    for number, at in enumerate(messages):
        has_html = "html=1" in http_.get(at).text
        yield from [at + "?html=1" if has_html else at, *([at + "/html"] if has_html else [])]
        if number % every == 0:
            yield from [at + "/text", at + "/source"]


def walk(base, cookies, paths):
    """One browser's share of the pages: what it opened, requested, what ran, what was wrong."""
    wrong, opened = {}, 0
    with Browser(base, log=True) as browser:
        browser.cdp("Page.enable")
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        browser.go("/sign-in")
        for name, value in cookies.items():
            browser.driver.add_cookie({"name": name, "value": value, "path": "/", "secure": True, "httpOnly": True})
        for path in paths:
            opened += 1
            try:
                trouble = look(browser, path)
            except Exception as error:  # noqa: BLE001 - a dialog shows itself this way
                trouble = [f"{type(error).__name__}: {error}"]
            if trouble:
                wrong[path] = trouble
        time.sleep(1)
        if len(browser.driver.window_handles) != 1:
            wrong["windows"] = ["one was opened"]
        return opened, browser.requests(), ran(browser), wrong


with demo("--empty") as server, tempfile.TemporaryDirectory(prefix="lazaret-xss-") as folder:
    subprocess.run([sys.executable, os.path.join(ROOT, "tests/xss/make.py"), folder], check=True, stdout=subprocess.DEVNULL)
    base = server.info["page"]
    names = deliver(server, folder)
    check("there are at least 200 hostile mails", len(names) >= 200, len(names))
    with check.part("control"), Browser(base, log=True) as browser:
        browser.cdp("Page.enable")
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        control(browser)
    with check.part("mails"):
        http_, lists, messages = pages(server)
        check("every mail has a page", len(messages) == len(names), f"{len(messages)} of {len(names)}")
        told = next((text for text in (http_.get(at).text for at in messages) if "reason-rspamd-0" in text), "")
        check("what the filter says is shown, as text", "&lt;script&gt;window.xss=1" in told and "GTUBE" in told, told)
        began, shares = time.monotonic(), [messages[n::BROWSERS] for n in range(BROWSERS)]
        shares = [[*(lists if n == 0 else []), *ways(share, http_)] for n, share in enumerate(shares)]
        with concurrent.futures.ThreadPoolExecutor(BROWSERS) as pool:
            done = list(pool.map(lambda share: walk(base, http_.cookies, share), shares))
        opened, urls = sum(d[0] for d in done), [u for d in done for u in d[1]]
        outside, scripts = foreign(urls, base), [r for d in done for r in d[2]]
        wrong = {path: why for d in done for path, why in d[3].items()}
        frames = sum(path.endswith("?html=1") for share in shares for path in share)
        print(f"{len(names)} mails, {opened} pages, {frames} frames in {time.monotonic() - began:.0f} s; {len(urls)} requests, {len(outside)} to anything else")
        check("every page was requested, and every frame", len(urls) >= opened + frames and sum(u.endswith("/html") for u in urls) >= 2 * frames, len(urls))
        check("no request leaves the page", not outside, outside[:5])
        check("no script of a mail runs", not scripts, scripts[:5])
        check("no page is moved, renamed or empty, no dialog or window opens", not wrong, dict(list(wrong.items())[:5]))
check.finish()
