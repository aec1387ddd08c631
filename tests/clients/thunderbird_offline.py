#!/usr/bin/python3
"""The real Thunderbird, by mouse: it takes Caught with it, goes offline by its own button, reads, drags into Release and Spam
and deletes there, comes back, and plays it all back. Then folders are compacted from their menus.

thunderbird_offline.py [FOLDER]: screenshots go there.
"""
import os
import sys
import tempfile
import time

from lazaret import Checks, arrived, bring, demo, need, ok, wait_for
from tbird import Thunderbird
from window import Display

need("thunderbird", "Xvfb", "openbox", "xdotool", "import")
check = Checks()
shots = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lazaret-shots-")
LOGIN = "alice@example.org"
folder = tempfile.mkdtemp(prefix="lazaret-offline-")
display = Display(shots)
# 2: nothing is asked when it goes offline: the messages were downloaded as they came, which is the default.
EXTRA = {"offline.download.download_messages": 2, "offline.send.unsent_messages": 2, "offline.autoDetect": False}


def quiet(when):
    check(f"{when}: no box comes up", not thunderbird.boxes(), thunderbird.boxes())


def uids(name="Caught", what="ALL"):
    connection = server.imap(server.account(LOGIN))
    ok(connection.select(name, readonly=True))
    found = ok(connection.uid("SEARCH", what))[0].split()
    connection.logout()
    return found


def toggle(offline):
    """A click on the button in the status bar."""
    display.click(*thunderbird.element_spot("#offline-status")[:2])
    return wait_for(lambda: thunderbird.run("return Services.io.offline;") == offline, 60)


def commands(since):
    """What the program has sent since the log had this length."""
    return [line.split("SendData: ")[1] for line in thunderbird.logged()[since:].splitlines() if "SendData: " in line]


with demo("--data", os.path.join(folder, "data"), "--empty") as server:
    messages = bring(server, [f"off{n}" for n in range(6)])
    imaps = server.info["imaps"].replace("127.0.0.1", "localhost")
    thunderbird = Thunderbird(display, folder, imaps, server.info["ca"], [(LOGIN, server.account(LOGIN)["password"])], EXTRA)
    try:
        thunderbird.passwords("imap://localhost")
        thunderbird.get_messages(LOGIN)
        check("the folders are listed", wait_for(lambda: "Release" in thunderbird.folders(LOGIN), 20))
        time.sleep(2)
        thunderbird.open_folder(LOGIN, "Caught")
        check("Caught shows its messages", wait_for(lambda: len(thunderbird.subjects() or []) == 6, 20))
        with check.part("going offline"):
            downloaded = lambda: thunderbird.run("const f = folder(arguments[0], 'Caught'); return [...f.messages].filter(m => m.flags & Ci.nsMsgMessageFlags.Offline).length;", LOGIN)
            check("every message is downloaded by itself", wait_for(lambda: downloaded() == 6, 60), downloaded())
            check("Caught is kept offline, as every folder is", thunderbird.run("return folder(arguments[0], 'Caught').getFlag(Ci.nsMsgFolderFlags.Offline);", LOGIN))
            check("the button takes it offline", toggle(True))
            display.shot("offline")
            quiet("going offline")
        with check.part("reading offline"):
            display.click(*thunderbird.message_spot("mark off0")[:2])
            shown = wait_for(lambda: "From the start of a line" in (thunderbird.shown() or ""), 15)
            check("a message that was never opened is read", shown, thunderbird.shown())
            display.shot("read-offline")
        with check.part("acting offline"):
            thunderbird.drag(LOGIN, ["mark off1"], "Release")
            time.sleep(1)
            thunderbird.drag(LOGIN, ["mark off2", "mark off3"], "Release & Train")
            time.sleep(1)
            thunderbird.drag(LOGIN, ["mark off4"], "Spam")
            time.sleep(1)
            display.click(*thunderbird.message_spot("mark off5")[:2])
            display.key("Delete")
            time.sleep(2)
            display.shot("acted-offline")
            quiet("acting offline")
            check("the list has what is left", thunderbird.subjects() == ["mark off0"], thunderbird.subjects())
            check("the server knows nothing yet", len(server.delivered()) == 0 and len(uids()) == 6)
        with check.part("coming back"):
            check("the button takes it online", toggle(False))
            count = lambda: [arrived(server.delivered(), messages[f"off{n}"]) for n in range(6)]
            # Flags are played back at once, moves when Thunderbird next leaves the folder.
            for turn in range(8):
                if count() == [0, 1, 1, 1, 0, 0] and len(uids("Trash")) == 2:
                    break
                thunderbird.open_folder(LOGIN, "Caught" if turn % 2 else "INBOX")
                time.sleep(4)
            print(f"   played back after {turn} changes of folder")
            check("what was dragged offline is delivered, once each", wait_for(lambda: count() == [0, 1, 1, 1, 0, 0], 20), count())
            check("and trained", wait_for(lambda: (len(server.trained("ham")), len(server.trained("spam"))) == (2, 1), 20), (len(server.trained("ham")), len(server.trained("spam"))))
            check("what was deleted, and what was reported, is in Trash", wait_for(lambda: len(uids("Trash")) == 2, 20), uids("Trash"))
            check("Caught has what was left", wait_for(lambda: len(uids()) == 1, 20), uids())
            thunderbird.open_folder(LOGIN, "Caught")
            time.sleep(3)
            check("the list shows it", thunderbird.subjects() == ["mark off0"], thunderbird.subjects())
            display.shot("online")
            quiet("coming back")
        with check.part("compaction"):
            bring(server, ["last"])
            wait_for(lambda: "mark last" in thunderbird.subjects(), 20)
            for name in ("Caught", "Trash", "Release", "Spam"):
                kept, since = (uids("Caught"), uids("Trash")), len(thunderbird.logged())
                thunderbird.choose(LOGIN, name, "#folderPaneContext-compact", display.shot)
                time.sleep(4)
                display.shot("compacted-" + name)
                quiet(f"compacting {name}")
                check(f"compacting {name} loses nothing", (uids("Caught"), uids("Trash")) == kept, (kept, uids("Caught"), uids("Trash")))
                print(name, commands(since))
            thunderbird.open_folder(LOGIN, "Caught")
            check("Caught still shows both", wait_for(lambda: sorted(thunderbird.subjects() or []) == ["mark last", "mark off0"], 20), thunderbird.subjects())
            display.click(*thunderbird.message_spot("mark off0")[:2])
            check("a message is read after it", wait_for(lambda: "From the start of a line" in (thunderbird.shown() or ""), 15))
        check("the server refused nothing", " NO [" not in thunderbird.logged() and " BAD " not in thunderbird.logged(),
              [line[-200:] for line in thunderbird.logged().splitlines() if " NO [" in line or " BAD " in line][:3])
    finally:
        thunderbird.stop()
        display.stop()
check.finish()
