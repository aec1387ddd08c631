#!/usr/bin/python3
"""alpine in a terminal (tmux), in both modes of write-only folders: read in Caught, save to each action folder, delete, expunge,
and try to look into a write-only folder."""
import concurrent.futures
import re
import shlex
import tempfile
import time

from changing import Quarantine, held
from lazaret import ACTIONS, Checks, arrived, marked, need, read_tree, wait_for
from terminal import Terminal

need("alpine", "tmux")
check = Checks()


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
        command = f"HOME={shlex.quote(folder)} alpine -p {shlex.quote(folder)}/pinerc -i"
        with Terminal(f"alpine-{mode}", command) as alpine:
            screen, shows, keys = alpine.screen, alpine.shows, alpine.keys
            shows("ENTER PASSWORD")
            time.sleep(0.5)  # it throws away what was typed before it asks
            keys("a-secret", "Enter")
            # Its status line goes away after a while; the title line says the same.
            opened = "opened with 6 messages|Message 1 of 6"
            if "Preserve" in shows(f"Preserve password|{opened}"):
                keys("n")
            if not check(f"{mode}: alpine opens Caught", shows(opened), screen()):
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
