#!/usr/bin/python3
"""Accessibility: axe-core (Deque) on every page, light and dark, wide and phone: nothing serious or critical. Leaves screenshots
in target/page. axe-core is fetched by npm into target/ and never becomes part of the project."""
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tarfile

from browser import SHOTS, Browser
from lazaret import BINARY, Checks, demo, lmtp_send, marked

check = Checks()
ALICE = "alice@example.org"


def axe():
    """The script's text; the test is skipped when it cannot be had."""
    os.makedirs(SHOTS, exist_ok=True)
    if not glob.glob(f"{SHOTS}/axe-core-4*.tgz") and shutil.which("npm"):
        subprocess.run(["npm", "pack", "axe-core@4"], cwd=SHOTS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    found = sorted(glob.glob(f"{SHOTS}/axe-core-4*.tgz"))
    if not found:
        print("skipped: axe-core cannot be fetched by npm")
        sys.exit(77)
    with tarfile.open(found[-1]) as package:
        return package.extractfile("package/axe.min.js").read().decode()


RUN = """axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
    .then(r => JSON.stringify(r.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.slice(0, 200))])))"""


def look(browser, script, name):
    # The page's policy forbids scripts of others; the debugger's own are not the page's.
    browser.cdp("Runtime.evaluate", expression=script)
    answer = browser.cdp("Runtime.evaluate", expression=RUN, awaitPromise=True, returnByValue=True)
    found = json.loads(answer["result"]["value"])
    bad = [f for f in found if f[0] in ("serious", "critical")]
    check(f"{name}: nothing serious", not bad, bad)
    for impact, rule, _ in found:
        if impact not in ("serious", "critical"):
            lesser.add((impact, rule))


def bar(server, browser, script):
    """The page that shows how far a long action is. What would lead on from it is held back."""
    who = "axe@example.org"
    subprocess.run([BINARY, "--config", server.info["config"], "user", "add", who], input="lazaret\n", capture_output=True, text=True, check=True)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.lmtp("partner@partner.example", [who], marked(f"axe{n}", who)), range(1_500)))
    browser.sign_in(who)
    browser.cdp("Network.enable")
    browser.cdp("Network.setBlockedURLs", urls=["*as=json*"])
    browser.one("#whole").click()
    browser.submit(browser.one('button[value="release"]'))
    check("progress: there is a bar", browser.path.startswith("/work/") and browser.all("progress"), browser.path)
    for scheme, width, kind in (("light", 1280, "wide"), ("dark", 390, "phone")):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.cdp("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=kind == "phone")
        look(browser, script, f"progress {scheme} {kind}")
        browser.shot(f"progress-{scheme}-{kind}")
    browser.cdp("Network.setBlockedURLs", urls=[])
    browser.go("/caught")
    browser.sign_out()


script, lesser = axe(), set()
with demo() as server:
    for mark in ("plague1", "plague2"):
        lmtp_send(server.info["doors"]["incoming virus"], "evil@evil.example", [ALICE], marked(mark))
    with Browser(server.info["page"]) as browser:
        with check.part("control"):
            browser.go("/sign-in")
            browser.cdp("Runtime.evaluate", expression=script)
            browser.driver.execute_script("document.querySelector('label[for=login]').remove()")
            answer = browser.cdp("Runtime.evaluate", expression=RUN, awaitPromise=True, returnByValue=True)
            check("control: a field without a label is found", '"critical","label"' in answer["result"]["value"], answer["result"]["value"][:300])
        browser.sign_in(ALICE)
        browser.tick("plague1", "plague2")
        browser.act("release")
        refused = browser.path
        browser.go("/caught")
        href = browser.row("plague1").find_element("css selector", ".subject a").get_attribute("href")
        browser.sign_out()
        browser.sign_in("global")
        letter = next(a.get_attribute("href") for a in browser.all("table.list .subject a") if "URGENT" in a.text or "bank" in a.text.lower())
        browser.sign_out()
        bar(server, browser, script)
        for scheme in ("light", "dark"):
            browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            for width, height, kind in ((1280, 900, "wide"), (390, 844, "phone")):
                browser.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=kind == "phone")
                browser.go("/sign-in")
                look(browser, script, f"sign-in {scheme} {kind}")
                browser.sign_in("global")
                places = {"list": "/caught", "found": "/caught?q=mark", "nothing": "/caught?q=nowhere", "bad-search": "/caught?q=before:x", "trash": "/trash",
                          "message": letter, "allow": letter + "/allow", "block": letter + "/block", "html": letter + "?html=1", "source": letter + "/source", "text": letter + "/text", "virus": href, "history": "/history",
                          "requests": "/requests", "senders": "/senders", "report": "/report", "status": "/status", "refusal": "/nothing"}
                for name, place in places.items():
                    browser.go(place)
                    look(browser, script, f"{name} {scheme} {kind}")
                    browser.shot(f"{name}-{scheme}-{kind}")
                    width_now = browser.driver.execute_script("return document.documentElement.scrollWidth")
                    check(f"{name} {scheme} {kind}: nothing stands out to the side", width_now <= width, width_now)
                browser.go("/caught")
                browser.tick("plague1")
                browser.act("delete")
                look(browser, script, f"notice {scheme} {kind}")
                browser.undo()
                browser.sign_out()
print("lesser remarks:", ", ".join(sorted(f"{rule} ({impact})" for impact, rule in lesser)) or "none")
check.finish()
