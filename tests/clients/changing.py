"""A quarantine that changes while a client copies it: deliveries, releases, expunges, flags, files changed on disk by
another program. What the two sides hold is compared as (Message-ID, flags)."""
import contextlib
import email.parser
import os
import random
import re
import subprocess
import sys
import threading
import time

from lazaret import BINARY, Server, certificate, free_port, imaplib, lmtp_send, marked, ok, quoted, wait_for
from servers import MailServer

try:
    import aiosmtpd  # noqa: F401 - what servers needs
except ImportError:
    print("skipped: python3-aiosmtpd missing", flush=True)
    sys.exit(77)

USERS = {"alice@example.org": "a-secret", "example.org": "d-secret"}
KEPT = ["Caught", "Trash"]
LETTERS = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D", "\\Deleted": "T"}
FLAGS = {letter: flag for flag, letter in LETTERS.items()}
OTHERS = "FRSD"


class Quarantine(Server):
    """`lazaret serve` over TLS with write-only folders in this mode, and a mail server that takes what is released."""

    def __init__(self, folder, mode, extra=""):
        self.far, self.data, self.mode = MailServer(), os.path.join(folder, "data"), mode
        ports = {name: free_port() for name in ("imap", "imaps", "lmtp")}
        config = os.path.join(folder, "lazaret.toml")
        with open(config, "w") as file:
            file.write(f"""data = "{self.data}"
users = "{folder}/users"
host_name = "quarantine.example.org"
[page]
tls = []
[imap]
tls = ["127.0.0.1:{ports['imaps']}"]
starttls = ["127.0.0.1:{ports['imap']}"]
plain_login_on_loopback = true
[folders]
write_only = "{mode}"
{extra}
[[lmtp]]
listen = "127.0.0.1:{ports['lmtp']}"
class = "incoming"
[domains."example.org"]
[[route]]
name = "default"
host = "127.0.0.1"
port = {self.far.port}
tls = "none"
""")
        certificate(os.path.join(folder, "tls"))
        for login, password in USERS.items():
            subprocess.run([BINARY, "--config", config, "user", "add", login], input=password + "\n", text=True, check=True, capture_output=True)
        super().__init__("--config", config, "serve", wait_json=False)
        self.ca = os.path.join(folder, "tls/cert.pem")
        self.info = {"imap": f"127.0.0.1:{ports['imap']}", "imaps": f"localhost:{ports['imaps']}", "lmtp": f"127.0.0.1:{ports['lmtp']}"}
        self.ports = ports
        if not wait_for(self.session, 20):
            self.kill()
            raise RuntimeError(f"`lazaret serve` does not answer; its log:\n{self.logged()}")

    def session(self, login="alice@example.org"):
        """An imaplib connection; None while the server does not answer."""
        try:
            imap = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
        except OSError:
            return None
        imap.login(login, USERS[login])
        return imap

    def deliver(self, mark):
        lmtp_send(self.info["lmtp"], "partner@partner.example", ["alice@example.org"], marked(mark))

    def __exit__(self, *error):
        try:
            super().__exit__(*error)
        finally:
            self.far.stop()


def held(imap, folder):
    """What a folder holds: sorted (Message-ID, flag letters)."""
    ok(imap.select(quoted(folder)))
    found = []
    # Not OK when a file has just gone from the disk: what is there is told all the same.
    _, data = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    for item in data:
        if isinstance(item, tuple):
            flags = re.search(rb"FLAGS \(([^)]*)\)", item[0]).group(1).decode().split()
            found.append((mid(item[1]), letters(LETTERS[f] for f in flags if f in LETTERS)))
    return sorted(found)


def letters(flags):
    return "".join(sorted(flags))


def mid(message):
    return email.parser.BytesHeaderParser().parsebytes(message)["Message-ID"].strip()


def files(box):
    """The message files of a Maildir."""
    return [os.path.join(box, sub, name) for sub in ("cur", "new") for name in sorted(os.listdir(os.path.join(box, sub))) if not name.startswith(".")]


def stored(box):
    """What a Maildir holds, as `held` tells it."""
    found = []
    for path in files(box) if os.path.isdir(os.path.join(box, "cur")) else []:
        with open(path, "rb") as file:
            message = file.read()
        found.append((mid(message), letters(f for f in path.rpartition(":2,")[2] if f in "FRSTD") if ":2," in path else ""))
    return sorted(found)


class Changes:
    """Random changes; the seed is printed by who uses it. `far` are those of the server, `near` those of the copy."""

    def __init__(self, server, seed):
        self.server, self.random, self.count, self.done = server, random.Random(seed), 0, {}
        self.released = set()
        self.imap = server.session()

    def deliver(self):
        for _ in range(self.random.randint(1, 4)):
            self.count += 1
            self.server.deliver(f"m{self.count}")

    def some(self, folder):
        """A few UIDs of a folder, which is then open."""
        ok(self.imap.select(folder))
        uids = ok(self.imap.uid("SEARCH", "ALL"))[0].split()
        return self.random.sample(uids, min(len(uids), self.random.randint(1, 3)))

    def move(self, folder, to):
        uids = self.some(folder)
        if uids:
            # Refused as a whole when a file has just gone from the disk.
            self.imap.uid("MOVE", b",".join(uids), quoted(to))

    def release(self):
        self.move("Caught", self.random.choice(["Release", "Release & Train"]))

    def trash(self):
        self.move("Caught", "Trash")

    def back(self):
        self.move("Trash", "Caught")

    def flags(self):
        uids = self.some(self.random.choice(KEPT))
        if uids:
            flag = FLAGS[self.random.choice(OTHERS)]
            self.imap.uid("STORE", b",".join(uids), self.random.choice("+-") + "FLAGS", f"({flag})")

    def expunge(self):
        uids = self.some(self.random.choice(KEPT))
        if uids:
            self.imap.uid("STORE", b",".join(uids), "+FLAGS", "(\\Deleted)")
            self.imap.uid("EXPUNGE", b",".join(uids))

    def box(self, folder):
        return os.path.join(self.server.data, "mail/example.org/alice", folder)

    def file(self, box):
        found = files(box) if os.path.isdir(box) else []
        return self.random.choice(found) if found else None

    def unlink(self, box=None):
        path = self.file(box or self.box(self.random.choice(KEPT)))
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def rename(self, box=None, flags=OTHERS):
        box = box or self.box(self.random.choice(KEPT))
        path = self.file(box)
        if path:
            base, _, now = os.path.basename(path).partition(":2,")
            flag = self.random.choice(flags)
            now = letters(set(now) ^ {flag})
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, os.path.join(box, "cur", f"{base}:2,{now}"))

    FAR = ["deliver", "deliver", "deliver", "release", "trash", "back", "flags", "flags", "expunge", "unlink", "rename", "rename"]

    def one(self, name=None):
        name = name or self.random.choice(self.FAR)
        self.done[name] = self.done.get(name, 0) + 1
        getattr(self, name)()

    NEAR = ["rename", "unlink", "rename", "delete"]

    def near(self, what, boxes):
        """A change to the copy: flags, a file that goes, a file marked deleted."""
        box = self.random.choice(boxes)
        self.done[f"near {what}"] = self.done.get(f"near {what}", 0) + 1
        self.unlink(box) if what == "unlink" else self.rename(box, "T" if what == "delete" else OTHERS)

    @contextlib.contextmanager
    def meanwhile(self, pause):
        """Changes go on in another thread until the block ends."""
        stop, failed = threading.Event(), []

        def go():
            try:
                while not stop.wait(self.random.uniform(0, pause)):
                    self.one()
            except Exception as error:  # noqa: BLE001 - raised again below
                failed.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def settled(self):
        """The server shows what the disk holds: the sweep has seen what another program did."""
        return not wait_for(lambda: not self.unseen(), 30) and self.unseen()

    def unseen(self):
        """How what the server shows differs from what the disk holds."""
        return {f: set(held(self.imap, f)) ^ set(stored(self.box(f))) for f in KEPT if held(self.imap, f) != stored(self.box(f))}


def equal(check, what, changes, boxes, login):
    """Both sides hold the same, and something."""
    unseen = changes.settled()
    check(f"{what}: the server shows what its disk holds", not unseen, unseen)
    imap = changes.server.session(login)
    for folder, box in boxes.items():
        here, there = stored(box), held(imap, folder)
        only = sorted(set(here) - set(there)), sorted(set(there) - set(here))
        check(f"{what}: {folder} has the same messages and flags on both sides", here == there, f"only in the copy {only[0]}, only on the server {only[1]}")
        check(f"{what}: no message is in {folder} twice", len({m for m, _ in there}) == len(there) and len({m for m, _ in here}) == len(here))


def rounds(check, what, folder, mode, seed, sync, judge, clean, login="alice@example.org"):
    """Runs of a client (`sync(server)`: exit code and output) over a changing quarantine; at the end both sides are equal.
    `judge` gives the lines of a run's output that are not expected; `clean` says whether a run must end with exit code 0, `login` whose
    copy it is; the changes are made by alice."""
    with Quarantine(folder, mode) as server:
        changes = Changes(server, seed)
        boxes = {name: os.path.join(folder, "mail", name) for name in KEPT}
        for name in ["deliver"] * 8 + ["trash"]:
            changes.one(name)
        runs = [sync(server)]
        for _ in range(4):
            for name in changes.FAR:
                changes.one(name)
            for name in changes.NEAR:
                changes.near(name, list(boxes.values()))
            with changes.meanwhile(0.01):
                runs.append(sync(server))
        unseen = changes.settled()
        check(f"{what}: the server shows what its disk holds before the last runs", not unseen, unseen)
        # The first of these may still meet what both sides changed; the second has nothing to do.
        runs += [sync(server), sync(server)]
        for number, (code, text) in enumerate(runs):
            odd = judge(text)
            check(f"{what}: run {number} says nothing that is not expected", not odd, f"{odd}\n{text}" if odd else "")
            if number in (0, len(runs) - 1):
                check(f"{what}: run {number} ends with {'0' if clean else 'an error'}", (code == 0) == clean, f"exit {code}: {text}")
        equal(check, what, changes, boxes, login)
        print(f"   {what}: {sum(changes.done.values())} changes, {len(server.far.mail)} released, seed {seed}")
