#!/usr/bin/python3
"""alpine in a terminal (tmux), in both modes of write-only folders: read in Caught, save to each action folder, delete, expunge,
and try to look into a write-only folder."""
import concurrent.futures
import os
import re
import shlex
import subprocess
import tempfile
import time

from changing import Quarantine, held
from lazaret import ACTIONS, Checks, arrived, marked, need, read_tree, wait_for

need("alpine", "tmux")
check = Checks()


class Alpine:
    """alpine in a terminal of its own."""

    def __init__(self, name, command):
        self.socket = f"lazaret-alpine-{name}-{os.getpid()}"
        self.tmux("new-session", "-d", "-s", "alpine", "-x", "120", "-y", "40", command)

    def tmux(self, *arguments):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "alpine")

    def shows(self, pattern, seconds=15):
        found = wait_for(lambda: re.search(pattern, self.screen()), seconds)
        return found.group(0) if found else ""

    def keys(self, *arguments):
        """Types; Enter and C-u are keys, anything else is text."""
        for argument in arguments:
            self.tmux("send-keys", "-t", "alpine", *([argument] if argument in ("Enter", "C-u") else ["-l", argument]))
            time.sleep(0.25)

    def ended(self):
        return "alpine" not in self.tmux("list-sessions", "-F", "#{session_name}")


def run(mode):
    with tempfile.TemporaryDirectory(prefix="lazaret-alpine-") as folder, Quarantine(folder, mode) as server:
        imap = server.session()
        marks = {action: f"a{i}" for i, action in enumerate(ACTIONS)}
        for mark in [*marks.values(), "gone", "stays"]:
            server.deliver(mark)
        # The certificate of the test cannot be added to those of the system: alpine is told not to check it.
        far = f"{{localhost:{server.ports['imaps']}/ssl/novalidate-cert/user=alice@example.org}}"
        with open(f"{folder}/pinerc", "w") as file:
            file.write(f"""personal-name=Alice
user-domain=example.org
inbox-path={far}Caught
folder-collections=Quarantine {far}[]
feature-list=expunge-without-confirm,expunge-without-confirm-everywhere,quit-without-confirm,enable-jump-shortcut
last-version-used=6.26
default-fcc=""
read-message-folder=
""")
        command = f"env HOME={shlex.quote(folder)} TERM=screen LC_ALL=C.UTF-8 alpine -p {shlex.quote(folder)}/pinerc -i"
        alpine = Alpine(mode, command)
        screen, shows, keys = alpine.screen, alpine.shows, alpine.keys
        try:
            shows("ENTER PASSWORD")
            time.sleep(0.5)  # it throws away what was typed before it asks
            keys("a-secret", "Enter")
            if "Preserve" in shows("Preserve password|opened with"):
                keys("n")
            if not check(f"{mode}: alpine opens Caught", shows("opened with 6 messages"), screen()):
                return
            for number, (action, mark) in enumerate(marks.items(), 1):
                # By its number: what was saved stays in the list, marked deleted, until it is expunged.
                keys(str(number), "Enter", "Enter")
                check(f"{mode}: alpine shows {mark}", shows(f"(?s)MESSAGE TEXT.*mark {mark}.*two dots"), screen())
                keys("s")
                shows("SAVE", 5)
                keys("C-u", action, "Enter")
                said = shows(r"copied to folder|Saving +DONE|NOPERM|[Ee]rror|[Ff]ailed")
                check(f"{mode}: alpine saves to {action}", re.match("copied|Saving", said), screen())
                keys("i")
                shows("MESSAGE INDEX", 5)
            keys("5", "Enter", "d", "x")
            check(f"{mode}: alpine expunges", shows("expunged from folder"), screen())
            keys("g", "C-u", "Spam", "Enter")
            wanted = "Spam is write-only" if mode == "refuse" else "opened with 0 messages"
            check(f"{mode}: looking into Spam", shows(wanted), screen())
            keys("q")
            check(f"{mode}: alpine ends", wait_for(alpine.ended), screen())
        finally:
            alpine.tmux("kill-server")
        for action, mark in marks.items():
            if action.startswith("Release"):
                check(f"{mode}: {action} delivered once", wait_for(lambda m=mark: arrived(server.far.messages(), marked(m), exact=True)) == 1)
            if action != "Release":
                sink = "spam" if action == "Spam" else "ham"
                check(f"{mode}: {action} trained", wait_for(lambda m=mark, s=sink: marked(m) in read_tree(f"{server.data}/trained/{s}")))
        check(f"{mode}: only the untouched message is left", [m for m, _ in held(imap, "Caught")] == ["<stays@partner.example>"], held(imap, "Caught"))
        imap.logout()


def part(mode):
    with check.part(mode):
        run(mode)


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(part, ("refuse", "empty")))
check.finish()
