#!/usr/bin/python3
"""neomutt with a sidebar of all subscribed folders, whose figures it asks for all the time, and with `trash`, in both modes of
write-only folders."""
import concurrent.futures
import os
import shlex
import tempfile

from changing import Quarantine, held
from lazaret import Checks, need
from terminal import Terminal

need("neomutt", "tmux")
check = Checks()


def watch(mode):
    with check.part(mode), tempfile.TemporaryDirectory(prefix="lazaret-sidebar-") as folder, Quarantine(folder, mode) as server:
        for mark in ("w0", "w1"):
            server.deliver(mark)
        rc = os.path.join(folder, "muttrc")
        with open(rc, "w") as file:
            file.write(f"""set imap_user = "alice@example.org"
set imap_pass = "a-secret"
set folder = "imaps://alice%40example.org@{server.info['imaps']}/"
set spoolfile = "+Caught"
set trash = "+Trash"
set ssl_force_tls = yes
set certificate_file = "{server.ca}"
set imap_check_subscribed = yes
set mail_check = 1
set mail_check_stats = yes
set mail_check_stats_interval = 1
set timeout = 1
set sidebar_visible = yes
set sidebar_width = 24
set sidebar_format = "%B %S"
set header_cache = ""
set delete = yes
set quit = yes
set tmpdir = "{folder}"
""")
        with Terminal(f"sidebar-{mode}", f"HOME={shlex.quote(folder)} neomutt -n -F {shlex.quote(rc)}") as mutt:
            screen, shows, keys = mutt.screen, mutt.shows, mutt.keys
            every = r"(?s)Caught 2.*Release & Train 0.*Release 0.*Not Spam 0.*Spam 0"
            check(f"{mode}: every subscribed folder is in the sidebar", shows(every), screen())
            complaint = shows(r"IMAP command failed: .* is write-only", 3)
            # In mode refuse it complains at every look: the reason why the other mode is there.
            check(f"{mode}: asking for their figures is {'refused' if mode == 'refuse' else 'no error'}", bool(complaint) == (mode == "refuse"), screen())
            keys("d", "$")
            check(f"{mode}: what is deleted is in Trash", shows(r"(?s)Caught 1.*Trash 1"), screen())
            keys("c", "=Spam", "Enter")
            check(f"{mode}: looking into Spam", shows(r"\(no mailbox\)" if mode == "refuse" else r"\+Spam \[Msgs:0"), screen())
            keys("q")
        imap = server.session()
        found = [held(imap, name) for name in ("Caught", "Trash")]
        check(f"{mode}: one message in each", [len(f) for f in found] == [1, 1], found)
        imap.logout()


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(watch, ("refuse", "empty")))
check.finish()
