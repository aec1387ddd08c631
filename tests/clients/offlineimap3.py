#!/usr/bin/python3
"""offlineimap3 over a quarantine that changes between and during the runs: with a folderfilter that leaves the write-only
folders out, and without one, in both modes of write-only folders."""
import concurrent.futures
import os
import re
import subprocess
import tempfile

from changing import rounds
from lazaret import Checks, need

need("offlineimap")
check = Checks()
SEED = int(os.environ.get("SEED", "11"))
WITHOUT = 'folderfilter = lambda folder: folder in ("INBOX", "Caught", "Trash")'

EXPECTED = [
    # A message that another session expunged in the middle of a run: the next run leaves it out.
    r"ERROR: IMAP server 'far' does not have a message with UID '\d+'",
    r"ERROR: Aborting sync, folder '(Caught|Trash)' .*",
    r"ERROR: Exceptions occurred during the run!",
    # Its own: it gives up a folder when it is told of a flag of a message that it has not seen yet (KeyError), and when a
    # STORE is refused (TypeError, where it wants to say so).
    r"ERROR: while syncing (Caught|Trash) .*",
    r"ERROR: ERROR in syncfolder for quarantine folder (Caught|Trash): Traceback .*",
]
CLOSED = r"ERROR: Aborting sync, folder '(Not Spam|Spam|Release|Release &- Train)' .*"


def sync(server, folder, settings):
    config = os.path.join(folder, "offlineimaprc")
    with open(config, "w") as file:
        file.write(f"""[general]
accounts = quarantine
metadata = {folder}/metadata
ui = quiet

[Account quarantine]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {folder}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.ports['imaps']}
remoteuser = alice@example.org
remotepass = a-secret
sslcacertfile = {server.ca}
{settings}
""")
    done = subprocess.run(["offlineimap", "-o", "-c", config], capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stderr + done.stdout).strip()


def run(mode, settings):
    what = f"{mode}, {'without' if settings else 'with'} write-only folders"
    closed = not settings and mode == "refuse"
    expected = [*EXPECTED, CLOSED] if closed else EXPECTED

    def judge(text):
        if text.count("syncfolder for") > text.count("KeyError") + text.count("'Error with store: %s'"):
            return ["an exception that is not known"]
        return [line for line in text.splitlines() if line.startswith("ERROR") and not any(re.fullmatch(e, line) for e in expected)]

    with check.part(what), tempfile.TemporaryDirectory(prefix="lazaret-offline-") as folder:
        rounds(check, what, folder, mode, SEED, lambda server: sync(server, folder, settings), judge, not closed)


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(run, *zip(*[(mode, settings) for mode in ("refuse", "empty") for settings in (WITHOUT, "")])))
check.finish()
