#!/usr/bin/python3
"""Thunderbird's own way to a new account, by mouse and keys: the Account Hub, settings by hand, the certificate that has to be
confirmed, the password, the folders.

thunderbird_setup.py [FOLDER]: screenshots go there.
"""
import os
import sys
import tempfile
import time

from lazaret import Checks, bring, demo, need, split, wait_for
from tbird import Thunderbird
from window import Display

need("thunderbird", "Xvfb", "openbox", "xdotool", "import")
check = Checks()
shots = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lazaret-shots-")
LOGIN = "alice@example.org"
folder = tempfile.mkdtemp(prefix="lazaret-setup-")
display = Display(shots)


def click(selector):
    where = wait_for(lambda: thunderbird.element_spot(selector), 20)
    if not where:
        raise RuntimeError(f"{selector} is not to be seen")
    display.click(*where[:2])


def fill(selector, text):
    click(selector)
    display.key("ctrl+a")
    display.type(text)


def choose(selector, downs):
    """An item of a list: so many further down."""
    click(selector)
    time.sleep(0.7)
    display.key(*["Down"] * downs, "Return")
    time.sleep(0.5)


def box(beginning, seconds=20):
    """Whether a window of this title is there. Marionette must not be asked while a modal one is."""
    return wait_for(lambda: any(title.startswith(beginning) for title in display.titles()), seconds)


with demo("--data", os.path.join(folder, "data"), "--empty") as server:
    bring(server, ["first"])
    host, port = "localhost", split(server.info["imaps"])[1]
    # No account, and no certificate accepted beforehand.
    thunderbird = Thunderbird(display, folder, server.info["imaps"], None, [])
    try:
        with check.part("settings by hand"):
            time.sleep(3)
            display.click(1144, 41)  # the menu
            time.sleep(1)
            click("#appmenu_new")
            time.sleep(1)
            click("#appmenu_newMailAccountMenuItem")
            time.sleep(2)
            fill("#email", LOGIN)
            time.sleep(1)
            display.shot("address")
            click("#forward")
            # It looks for the domain's settings, finds none, and asks for them.
            check("it asks for settings by hand", wait_for(lambda: thunderbird.element_spot("#incomingHostname"), 60))
            fill("#incomingHostname", host)
            fill("#incomingPort", str(port))
            choose("#incomingConnectionSecurity", 3)
            choose("#incomingAuthMethod", 1)
            display.shot("settings")
            click("#advancedConfigurationIncoming")
            check("it asks whether the account is to be made unchecked", box("Confirm Advanced"))
            display.shot("advanced")
            display.key("Return")
            time.sleep(3)
            made = lambda: thunderbird.run("return MailServices.accounts.allServers.filter(s => s.type == 'imap').map(s => [s.hostname ?? s.hostName, s.port, s.socketType, s.username]);")
            check("the account is there, as it was typed", wait_for(lambda: made() == [[host, port, 3, LOGIN]], 20), made())
            display.shot("account")
        with check.part("the certificate"):
            display.click(22, 41)  # the mail tab
            time.sleep(2)
            display.click(165, 168)  # the account
            time.sleep(1)
            display.click(69, 125)  # Get Messages
            check("a self-signed certificate is told", box("Alert"))
            display.shot("alert")
            display.key("Return")
            check("and may be confirmed", box("Add Security Exception"))
            time.sleep(2)
            display.shot("exception")
            display.do("search", "--name", "Add Security Exception", "windowactivate", "--sync")
            display.key("alt+c")
            check("once", wait_for(lambda: not box("Add Security Exception", 0), 10), display.titles())
        with check.part("the password"):
            display.click(140, 84)  # the tab of the account
            time.sleep(1.5)
            display.click(165, 168)
            time.sleep(1)
            display.click(69, 125)  # Get Messages
            check("the password is asked for", box("Enter your password"))
            display.shot("password")
            display.type(server.account(LOGIN)["password"])
            display.key("Return")
            check("no second time", wait_for(lambda: not box("Enter your password", 0), 20))
            wanted = {"INBOX", "Caught", "Trash", "Release & Train", "Release", "Not Spam", "Spam"}
            check("all folders are there", wait_for(lambda: set(thunderbird.folders(LOGIN)) == wanted, 20), thunderbird.folders(LOGIN))
            thunderbird.open_folder(LOGIN, "Caught")
            check("and what was caught", wait_for(lambda: thunderbird.subjects() == ["mark first"], 20), thunderbird.subjects())
            display.shot("caught")
            check("no box is left", not thunderbird.boxes(), thunderbird.boxes())
        check("the server refused nothing", " NO [" not in thunderbird.logged() and " BAD " not in thunderbird.logged())
    finally:
        thunderbird.stop()
        display.stop()
check.finish()
