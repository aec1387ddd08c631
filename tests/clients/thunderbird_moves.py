#!/usr/bin/python3
"""The real Thunderbird, by mouse, with write-only folders that open empty and with such that refuse: messages of other
accounts dragged into Spam and Not Spam, Ctrl-Z after a release, clicks on action folders, drags into them.

thunderbird_moves.py [FOLDER [empty|refuse]]: screenshots go there; both modes if none is named.
"""
import os
import subprocess
import sys
import tempfile
import time

from lazaret import BINARY, Checks, Server, arrived, bring, demo, free_port, marked, need, ok, wait_for
from servers import MailServer
from tbird import Thunderbird
from window import Display

need("thunderbird", "Xvfb", "openbox", "xdotool", "import")
check = Checks()
shots = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lazaret-shots-")
LOGIN, OTHER = "alice@example.org", "example.net"


class Quarantine(Server):
    """`lazaret serve` in the folder of a demonstration that has ended, its folders in one mode."""

    def __init__(self, folder, mode, mail):
        with demo("--data", folder, "--empty") as first:
            info = first.info
        ports = {name: free_port() for name in ("imaps", "imap", "lmtp")}
        text = open(info["config"]).read()
        for line, new in [
            ("tls = [\"127.0.0.1:0\"]", f"tls = [\"127.0.0.1:{ports['imaps']}\"]"),
            ("listen = \"127.0.0.1:0\"\nclass = \"incoming\"\n", f"listen = \"127.0.0.1:{ports['lmtp']}\"\nclass = \"incoming\"\n"),
        ]:
            if line not in text:
                sys.exit(f"the demonstration's configuration has no {line!r}:\n{text}")
            text = text.replace(line, new, 1)
        text = text.replace("[[route]]", f'[folders]\nwrite_only = "{mode}"\n[[route]]')
        text = "\n".join(f"port = {mail.port}" if line.startswith("port = ") else line for line in text.split("\n"))
        config = os.path.join(folder, "other.toml")
        with open(config, "w") as file:
            file.write(text)
        added = subprocess.run([BINARY, "--config", config, "user", "add", OTHER], input="other\n", capture_output=True, text=True)
        check(f"user add {OTHER}", added.returncode == 0, added.stderr)
        super().__init__("--config", config, "serve", wait_json=False)
        self.info = dict(info, imaps=f"127.0.0.1:{ports['imaps']}", lmtp=f"127.0.0.1:{ports['lmtp']}")
        self.info["accounts"] = info["accounts"] + [{"login": OTHER, "password": "other"}]

    def caught(self, login=LOGIN, folder="Caught"):
        connection = self.imap(self.account(login))
        ok(connection.select(folder, readonly=True))
        uids = ok(connection.uid("SEARCH", "UNDELETED"))[0].split()
        connection.logout()
        return len(uids)


def reachable(server):
    try:
        return server.caught() >= 0
    except OSError:
        return False


def run(mode):
    folder, mail = tempfile.mkdtemp(prefix=f"lazaret-moves-{mode}-"), MailServer()
    display = Display(os.path.join(shots, mode))
    try:
        with Quarantine(os.path.join(folder, "demo"), mode, mail) as server:
            check(f"{mode}: it answers", wait_for(lambda: reachable(server), 20))
            messages = bring(server, [f"one{n}" for n in range(6)])
            messages |= bring(server, ["net0", "net1"], "bob@example.net")
            imaps = server.info["imaps"].replace("127.0.0.1", "localhost")
            accounts = [(login, server.account(login)["password"]) for login in (LOGIN, OTHER)]
            thunderbird = Thunderbird(display, folder, imaps, server.info["ca"], accounts)
            try:
                drive(mode, server, mail, messages, display, thunderbird)
            finally:
                thunderbird.stop()
    finally:
        display.stop()
        mail.stop()


def drive(mode, server, mail, messages, display, thunderbird):
    def quiet(when):
        check(f"{mode}, {when}: no box comes up", not thunderbird.boxes(), thunderbird.boxes())

    def counted(mark):
        return arrived(mail.messages(), messages[mark])

    def trained(mark, what="spam"):
        return sum(message.endswith(messages[mark]) for message in server.trained(what))

    thunderbird.passwords("imap://localhost")
    thunderbird.get_messages(LOGIN)
    check(f"{mode}: the folders are listed", wait_for(lambda: "Spam" in thunderbird.folders(LOGIN), 20))
    thunderbird.get_messages(OTHER)
    check(f"{mode}: the other account's folders are listed", wait_for(lambda: "Caught" in thunderbird.folders(OTHER), 20))
    time.sleep(2)

    def show(login, name, mark):
        thunderbird.open_folder(login, name)
        return wait_for(lambda: f"mark {mark}" in (thunderbird.subjects() or []), 20)

    with check.part(f"{mode}: Ctrl-Z after a release"):
        check(f"{mode}: Caught shows its messages", show(LOGIN, "Caught", "one0"))
        thunderbird.drag(LOGIN, ["mark one0"], "Release")
        check(f"{mode}: it is delivered", wait_for(lambda: counted("one0") == 1, 20))
        display.shot("released")
        display.key("ctrl+z")
        time.sleep(4)
        display.shot("undo-after-release")
        quiet("Ctrl-Z after a release")
        check(f"{mode}: it stays delivered, once, and does not come back", (counted("one0"), server.caught()) == (1, 5), (counted("one0"), server.caught()))
        check(f"{mode}: the list shows what there is", wait_for(lambda: len(thunderbird.subjects()) == 5, 10), thunderbird.subjects())
    with check.part(f"{mode}: a message of Local Folders into Spam and Not Spam"):
        for n, (to, what) in enumerate([("Spam", "spam"), ("Not Spam", "ham")]):
            mark = f"local{n}"
            messages[mark] = marked(mark)
            thunderbird.keep_locally(messages[mark].decode())
            check(f"{mode}: the local message shows", show(None, "Inbox", mark))
            thunderbird.drag(LOGIN, [f"mark {mark}"], to)
            came = wait_for(lambda: trained(mark, what), 20)
            display.shot(f"local-to-{what}")
            check(f"{mode}: it is reported as {what}, once, its bytes as they were", came == 1, came or [m[:600] for m in server.trained(what)][-1:])
            check(f"{mode}: it left Local Folders", wait_for(lambda: not thunderbird.subjects(), 10), thunderbird.subjects())
            quiet(f"a local message to {to}")
    with check.part(f"{mode}: a message of Local Folders into Release"):
        messages["local2"] = marked("local2")
        thunderbird.keep_locally(messages["local2"].decode())
        check(f"{mode}: the local message shows", show(None, "Inbox", "local2"))
        thunderbird.drag(LOGIN, ["mark local2"], "Release")
        # The one box: what would make a relay of us is refused, and Thunderbird shows the reason. It is modal, so Marionette waits.
        check(f"{mode}: a box says why", wait_for(lambda: "Alert" in display.titles(), 20), display.titles())
        display.shot("local-to-release")
        display.key("Return")
        check(f"{mode}: one box, once", wait_for(lambda: "Alert" not in display.titles(), 10), display.titles())
        time.sleep(2)
        check(f"{mode}: it is not delivered, and not lost", counted("local2") == 0 and thunderbird.subjects() == ["mark local2"], thunderbird.subjects())
        quiet("after the refusal was read")
    with check.part(f"{mode}: a message of another IMAP account into Spam"):
        check(f"{mode}: the other account's Caught shows", show(OTHER, "Caught", "net0"))
        thunderbird.drag(LOGIN, ["mark net0"], "Spam")
        came = wait_for(lambda: trained("net0"), 20)
        display.shot("other-account-to-spam")
        check(f"{mode}: it is reported as spam, once", came == 1, came)
        # Between accounts Thunderbird marks the original as deleted; it goes when the folder is compacted.
        check(f"{mode}: it left the other account", wait_for(lambda: server.caught(OTHER) == 1, 20), server.caught(OTHER))
        quiet("a message of another account to Spam")
    with check.part(f"{mode}: drags inside the account"):
        check(f"{mode}: Caught shows", show(LOGIN, "Caught", "one1"))
        # What was reported and not delivered is kept: the two local ones and the other account's, so far.
        kept = server.caught(folder="Trash")
        check(f"{mode}: what was appended is kept in Trash", kept == 3, kept)
        thunderbird.drag(LOGIN, ["mark one1", "mark one2"], "Spam")
        check(f"{mode}: both are reported", wait_for(lambda: trained("one1") == trained("one2") == 1, 20))
        check(f"{mode}: both are in Trash", wait_for(lambda: server.caught(folder="Trash") == kept + 2, 20), server.caught(folder="Trash"))
        time.sleep(1)
        thunderbird.drag(LOGIN, ["mark one3"], "Release & Train")
        check(f"{mode}: delivered and trained", wait_for(lambda: counted("one3") == 1 and trained("one3", "ham") == 1, 20))
        quiet("drags inside the account")
    with check.part(f"{mode}: clicks on action folders"):
        for name in ("Release & Train", "Release", "Not Spam", "Spam"):
            thunderbird.open_folder(LOGIN, name)
            time.sleep(1.5)
            display.shot("open-" + name.replace(" ", "-"))
            quiet(f"a click on {name}")
            check(f"{mode}: {name} shows nothing", not thunderbird.subjects(), thunderbird.subjects())
    refused = [line[-200:] for line in thunderbird.logged().splitlines() if " NO [" in line or " BAD " in line]
    check(f"{mode}: the server refused that, and nothing else", len(refused) == 1 and "this is no relay" in refused[0], refused)


for mode in [sys.argv[2]] if len(sys.argv) > 2 else ["empty", "refuse"]:
    with check.part(mode):
        run(mode)
check.finish()
