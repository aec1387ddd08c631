#!/usr/bin/python3
"""The real Thunderbird, in a window on a display of its own: messages are dragged with the mouse.

thunderbird.py [FOLDER]: screenshots go there. Not among the tests that are run each time: scripts/thunderbird.
"""
import os
import sys
import tempfile
import time

from lazaret import Checks, bring, demo, need, ok, wait_for
from tbird import Thunderbird
from window import Display

need("thunderbird", "Xvfb", "openbox", "xdotool", "import")
check = Checks()
shots = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lazaret-shots-")
LOGIN = "alice@example.org"
folder = tempfile.mkdtemp(prefix="lazaret-thunderbird-")
display = Display(shots)


def quiet(when):
    """No box but the mail window."""
    check(f"{when}: no box comes up", not thunderbird.boxes(), thunderbird.boxes())


def caught():
    connection = server.imap(server.account(LOGIN))
    count = int(ok(connection.select("Caught", readonly=True))[0])
    connection.logout()
    return count


with demo("--data", os.path.join(folder, "data")) as server:
    imaps = server.info["imaps"].replace("127.0.0.1", "localhost")
    thunderbird = Thunderbird(display, folder, imaps, server.info["ca"], [(LOGIN, server.account(LOGIN)["password"])])
    try:
        thunderbird.passwords("imap://localhost")
        thunderbird.sign_in()
        check("the folders are listed", wait_for(lambda: "Release" in thunderbird.folders(LOGIN), 20))
        time.sleep(2)
        thunderbird.open_folder(LOGIN, "Caught")
        check("Caught shows its messages", wait_for(lambda: len(thunderbird.subjects() or []) == caught(), 20))
        display.shot("caught")
        quiet("after opening Caught")
        with check.part("one message to Release"):
            had, delivered = caught(), len(server.delivered())
            thunderbird.drag(LOGIN, thunderbird.subjects()[:1], "Release")
            check("one message is delivered", wait_for(lambda: len(server.delivered()) == delivered + 1 and caught() == had - 1, 20))
            display.shot("released")
            quiet("after the release")
        with check.part("three to Release & Train"):
            had, delivered, trained = caught(), len(server.delivered()), len(server.trained("ham"))
            time.sleep(1)
            thunderbird.drag(LOGIN, thunderbird.subjects()[:3], "Release & Train")
            done = lambda: (len(server.delivered()), len(server.trained("ham")), caught()) == (delivered + 3, trained + 3, had - 3)
            check("three are delivered and trained", wait_for(done, 20), (len(server.delivered()), len(server.trained("ham")), caught()))
            display.shot("three")
            quiet("after three")
        with check.part("delete and undo"):
            had = caught()
            time.sleep(1)
            display.click(*thunderbird.message_spot(thunderbird.subjects()[0])[:2])
            display.key("Delete")
            check("Delete moves it to Trash", wait_for(lambda: caught() == had - 1, 20), (had, caught()))
            display.key("ctrl+z")
            check("Ctrl-Z brings it back", wait_for(lambda: caught() == had, 20), (had, caught()))
            display.shot("undone")
            quiet("after the undo")
        with check.part("new mail"):
            began = time.monotonic()
            bring(server, ["fresh"])
            check("new mail shows without a click", wait_for(lambda: "mark fresh" in thunderbird.subjects(), 30))
            print(f"new mail was in the list after {time.monotonic() - began:.1f} s")
            display.shot("new")
            quiet("after new mail")
        check("the server refused nothing", " NO [" not in thunderbird.logged() and " BAD " not in thunderbird.logged(),
              [line[-200:] for line in thunderbird.logged().splitlines() if " NO [" in line or " BAD " in line][:3])
    finally:
        thunderbird.stop()
        display.stop()
check.finish()
