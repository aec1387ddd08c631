#!/usr/bin/python3
"""mbsync, full two-way (Create, Expunge, Sync Full on both sides), over a quarantine that changes between and during the
runs: with and without the write-only folders in its Patterns, in both modes of write-only folders; and as the domain, whose
\\Seen is its own."""
import concurrent.futures
import os
import re
import subprocess
import tempfile

from changing import USERS, rounds
from lazaret import Checks, need

need("mbsync")
check = Checks()
SEED = int(os.environ.get("SEED", "7"))
WITHOUT = '* !Release* !"Not Spam" !Spam'
EXPECTED = [
    r"Maildir notice: .*",
    r"Notice: conflicting changes in .*",
]
CLOSED = r"Error: channel all: both far side (.*) and near side \1 cannot be opened\."


def sync(server, folder, patterns, login):
    config = os.path.join(folder, "mbsyncrc")
    with open(config, "w") as file:
        file.write(f"""IMAPStore far
Host localhost
Port {server.ports['imaps']}
User {login}
Pass {USERS[login]}
SSLType IMAPS
SystemCertificates no
CertificateFile {server.ca}

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {patterns}
Create Both
Expunge Both
Sync Full
SyncState *
""")
    os.makedirs(f"{folder}/mail", exist_ok=True)
    done = subprocess.run(["mbsync", "-c", config, "-a"], capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stderr + done.stdout).strip()


def run(mode, patterns, login):
    shown = patterns == "*"
    closed = shown and mode == "refuse"
    expected = [*EXPECTED, CLOSED] if closed else EXPECTED

    def judge(text):
        return [line for line in text.splitlines() if not any(re.fullmatch(e, line) for e in expected)]

    what = f"{login}, {mode}, {'with' if shown else 'without'} write-only folders"
    with check.part(what), tempfile.TemporaryDirectory(prefix="lazaret-twoway-") as folder:
        rounds(check, what, folder, mode, SEED, lambda server: sync(server, folder, patterns, login), judge, not closed, login)


# mbsync sleeps a second now and then (Maildir mtimes), so they run side by side.
cases = [(mode, patterns, "alice@example.org") for mode in ("refuse", "empty") for patterns in (WITHOUT, "*")]
with concurrent.futures.ThreadPoolExecutor() as pool:
    list(pool.map(run, *zip(*cases, ("refuse", WITHOUT, "example.org"))))
check.finish()
