#!/usr/bin/python3
"""Lazaret among mail servers and filters from Debian: every set-up of interop_setups.py, and in each the same checks. swaks
sends, a real Dovecot has the mailboxes, people act over IMAP.

    interop.py [NAME... | all]     without names the short form, which is part of the test command; scripts/interop runs all

Prints a Markdown table at the end, of what was seen, and names what could not run here. Leaves no process, port or file.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import filters
import swaks
from interop_setups import ALL, SENDER, WORDS
from lazaret import BINARY, Checks, Server, certificate, free_port, marked, need, ok, wait_for
from mailservers import as_nobody

SHORT = ("exim-spamd",)
# What the filter wrote into the header before it was kept.
PUT_ASIDE = re.compile(rb"X-Pre-Release-[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
ALICE, BOB = "alice@example.org", "bob@example.net"


def letter(mark, text="", subject="", recipient=ALICE):
    """A message with what tends to break on the way, and enough words to learn from."""
    whole = marked(mark, recipient) + f"{text}\r\n{WORDS.format(*[mark] * 60)}\r\n".encode()
    return whole.replace(b"\r\nSubject: ", f"\r\nSubject: {subject} ".encode()) if subject else whole


class Site:
    """Lazaret as a set-up needs it, as nobody when root starts it: then what may not be written is not."""

    def __init__(self, home, setup):
        self.home, self.config, self.imap = home, f"{home}/lazaret.toml", free_port()
        certificate(f"{home}/tls")
        program = f"{home}/lazaret"
        shutil.copy(BINARY, program)
        top = "" if "[[lmtp]]" in setup.doors else "lmtp = []\n"
        with open(self.config, "w") as file:
            file.write(
                f'data = "{home}/data"\nusers = "{home}/users"\nhost_name = "mx.example.org"\n{top}[imap]\ntls = ["127.0.0.1:{self.imap}"]\nstarttls = []\n'
                f'[page]\ntls = []\n{setup.doors}{setup.domains}[[route]]\nname = "default"\nhost = "127.0.0.1"\nport = {setup.route}\n{setup.sinks}'
            )
        for login in (ALICE, BOB):
            subprocess.run([BINARY, "-c", self.config, "user", "add", login], input=b"lazaret\n", check=True, stdout=subprocess.DEVNULL)
        os.chmod(home, 0o755)
        self.program = as_nobody([program], home)
        self.door = setup.door
        self.server = None

    def start(self):
        self.server = Server("-c", self.config, "serve", wait_json=False, program=self.program)
        self.server.info = {"imaps": f"localhost:{self.imap}", "ca": f"{self.home}/tls/cert.pem"}
        if not wait_for(lambda: self.server.process.poll() is not None or filters.listens(self.imap) and filters.listens(self.door), 60) or self.server.process.poll() is not None:
            raise RuntimeError(f"lazaret does not start:\n{self.server.logged()}")

    def stop(self):
        if self.server:
            code = self.server.stop()
            os.unlink(self.server.log.name)
            self.server = None
            return code
        return 0

    def store(self, mode):
        """Makes every folder of the store unwritable (0o500), or writable again (0o700)."""
        for top, _, _ in os.walk(f"{self.home}/data/mail"):
            os.chmod(top, mode)

    def mailbox(self, login):
        connection = self.server.imap({"login": login, "password": "lazaret"})
        ok(connection.select("Caught"))
        return connection

    def caught(self, mark, login=ALICE):
        """UIDs and headers in Caught of what has this mark."""
        connection = self.mailbox(login)
        try:
            uids = ok(connection.uid("SEARCH", "SUBJECT", f'"mark {mark}"'))[0].split()
            return [(uid, ok(connection.uid("FETCH", uid, "(BODY.PEEK[HEADER])"))[0][1].decode(errors="replace")) for uid in uids]
        finally:
            connection.logout()

    def move(self, uid, folder, login=ALICE):
        connection = self.mailbox(login)
        ok(connection.uid("MOVE", uid, f'"{folder}"'))
        connection.logout()


class Run:
    """One set-up and its checks; each gives what the table says of it."""

    def __init__(self, setup, home, check):
        self.setup, self.check = setup, check
        self.site = Site(home, setup)
        self.site.start()

    def send(self, message, recipients=(ALICE,)):
        return swaks.send(self.setup.port, message, recipients)

    def in_caught(self, mark, login=ALICE, count=1):
        """Waits until so many are there; what is there in the end."""
        wait_for(lambda: len(self.site.caught(mark, login)) >= count, 25)
        return self.site.caught(mark, login)

    def in_mailbox(self, mark, recipient):
        return [m for m in self.setup.dovecot.messages(recipient) if f"<{mark}@".encode() in m]

    def answers(self, told, what):
        """Whether spam was answered as this set-up does when all is well."""
        pattern = self.setup.refusal
        held = told.code == 250 if pattern is None else re.search(pattern, f"{told.code} {told.text}")
        return self.check(what, held, told)

    def spam(self, mark):
        return letter(mark, self.setup.spam, self.setup.subject)

    def gtube(self):
        self.first = self.spam("gtube")
        told = self.send(self.first)
        self.answers(told, "spam is refused, and how")
        self.reference = (re.findall(self.setup.refusal or "$", f"{told.code} {told.text}") or [""])[0]
        return str(told.code) + ("" if self.setup.spam else " (a rule of ours)")

    def caught(self):
        found = self.in_caught("gtube")
        self.check("it is in Caught", len(found) == 1, found)
        header = found[0][1]
        score = re.search(r"(?m)^X-Lazaret-Score: (\S+)", header)
        self.check("with score", score and re.match(self.setup.score, score[1]), header)
        self.check("and reasons", re.search(rf"(?m)^X-Lazaret-Reason: .*{self.setup.reason}", header), header)
        if "(" in (self.setup.refusal or ""):
            self.check("under the reference that its sender was told", self.reference and self.reference in header, (self.reference, header))
        self.check("and not in the mailbox", not self.in_mailbox("gtube", ALICE))
        return f"score {score[1]}"

    def release(self):
        self.ham = self.setup.learned_ham()
        [(uid, _)] = self.site.caught("gtube")
        self.site.move(uid, "Release & Train")
        self.check("what is released arrives", wait_for(lambda: self.in_mailbox("gtube", ALICE), 60))
        found = self.in_mailbox("gtube", ALICE)
        bare = [PUT_ASIDE.sub(b"", message) for message in found]
        self.check("once, and byte for byte but for what is added", len(bare) == 1 and bare[0].endswith(b"\n" + self.first), found)
        self.check("no mailbox rule takes it for spam", found and not re.search(rb"(?m)^X-Spam-Flag: YES", found[0]), found)
        self.check("and it is not caught again", not self.site.caught("gtube"))
        return "yes"

    def trained(self):
        if self.setup.lesson:
            self.answers(self.send(letter("lesson", subject=self.setup.lesson)), "another kind of spam is refused, too")
            [(uid, _)] = self.in_caught("lesson")
            self.site.move(uid, "Release & Train")
            self.check("it arrives", wait_for(lambda: self.in_mailbox("lesson", ALICE), 60))
        self.check("the filter has learned one more ham", wait_for(lambda: self.setup.learned_ham() == self.ham + 1, 60), (self.ham, self.setup.learned_ham()))
        return f"{self.ham} → {self.setup.learned_ham()}"

    def untouched(self, mark, original, recipient):
        """Whether it came, once, its header in one piece and its body as it was."""
        found = wait_for(lambda: self.in_mailbox(mark, recipient), 60)
        if not self.check(f"{mark} arrives once for {recipient}", len(found) == 1, found):
            return
        header, _, body = found[0].partition(b"\r\n\r\n")
        original_header, _, original_body = original.partition(b"\r\n\r\n")
        self.check("its header is there in one piece", original_header in header, (header, original_header))
        self.check("its body is as it was", body == original_body, (body, original_body))

    def clean(self):
        message = letter("clean")
        told = self.send(message)
        self.check("clean mail is taken", told.code == 250, told)
        self.untouched("clean", message, ALICE)
        self.check("and not kept", not self.site.caught("clean"))
        return "yes"

    def split(self):
        message = self.spam("split")
        told = self.send(message, (ALICE, BOB))
        if self.setup.split == "each his own":
            self.check("spam for two, of whom one wants it, is taken", told.code == 250, told)
        else:
            self.answers(told, "spam for two is answered as for one")
        if self.setup.split == "452":
            self.check("the second is told to send it alone", told.refused.get(BOB, (0, ""))[0] == 452 and "4.5.3" in told.refused[BOB][1], told)
            self.check("it is kept for the first only", len(self.in_caught("split")) == 1 and not self.site.caught("split", BOB))
            told = self.send(message, (BOB,))
            self.check("alone it is accepted, as his domain says", told.code == 250, told)
        if self.setup.split == "each his own":
            self.check("one has it in Caught", len(self.in_caught("split")) == 1)
            self.check("the other in the mailbox, as his domain says", wait_for(lambda: self.in_mailbox("split", BOB), 60))
            self.check("and nobody has both", not self.site.caught("split", BOB) and not self.in_mailbox("split", ALICE))
        else:
            self.split_caught()
        self.split_clean()
        return self.setup.split

    def split_caught(self):
        """Both have it in Caught, and what one of them does is done for him."""
        for login in (ALICE, BOB):
            found = self.in_caught("split", login)
            self.check(f"{login} has it", len(found) == 1, found)
            whom = re.findall(r"(?m)^X-Lazaret-Recipient: (\S+)", found[0][1])
            self.check("for himself alone", whom == [login], whom)
        [(uid, _)] = self.site.caught("split", BOB)
        self.site.move(uid, "Release", BOB)
        self.check("what one of them releases arrives with him", wait_for(lambda: self.in_mailbox("split", BOB), 60))
        self.check("and not with the other", not self.in_mailbox("split", ALICE))

    def split_clean(self):
        clean = letter("cleansplit")
        told = self.send(clean, (ALICE, BOB))
        if told.refused:
            self.check("of clean mail the second is told the same", list(told.refused) == [BOB] and told.refused[BOB][0] == 452, told)
            told = self.send(clean, (BOB,))
        self.check("clean mail for two is taken", told.code == 250, told)
        for login in (ALICE, BOB):
            self.untouched("cleansplit", clean, login)

    def fails(self, mark, how, spoil, repair):
        """Spam that comes while something is broken, and again after the repair."""
        message = self.spam(mark)
        spoil()
        try:
            told = self.send(message)
            if how == "put off":
                self.check("the sender is told to come again", 400 <= told.code < 500, told)
            else:
                self.answers(told, "the sender is answered as always")
        finally:
            repair()
        first = told.code
        if how == "put off":
            told = self.send(message)
            self.answers(told, "after the repair it is answered as always")
        found = self.in_caught(mark)
        time.sleep(1)
        found = self.site.caught(mark)
        self.check("it is kept, once", len(found) == 1, (found, told))
        self.check("and not delivered", not self.in_mailbox(mark, ALICE))
        return f"{first}, {'then ' + str(told.code) if how == 'put off' else how}"

    def unwritable(self):
        return self.fails("unwritable", self.setup.when_full, lambda: self.site.store(0o500), lambda: self.site.store(0o700))

    def stopped(self):
        return self.fails("stopped", self.setup.when_stopped, lambda: self.check("lazaret ends cleanly", self.site.stop() == 0), self.site.start)

    def no_bounce(self):
        found = self.setup.dovecot.messages(SENDER)
        self.check("who is named as the sender of spam gets no mail about it", not found, found)
        return "none"

    def filter_away(self):
        self.setup.stop_filter()
        told = self.send(self.spam("unseen"))
        self.check("without the filter the sender is told to come again", 400 <= told.code < 500, told)
        self.check("and nothing goes through unseen", not self.site.caught("unseen") and not self.in_mailbox("unseen", ALICE))
        return str(told.code)

    def all(self):
        cells = []
        for title, part in COLUMNS.items():
            before = len(self.check.failed)
            cell = "FAILED"
            with self.check.part(f"{self.setup.name}: {title}"):
                cell = part(self)
            cells.append(cell if len(self.check.failed) == before else "FAILED")
        return cells


COLUMNS = {
    "GTUBE": Run.gtube, "in Caught": Run.caught, "Release & Train arrives": Run.release, "ham learned": Run.trained, "clean passes": Run.clean,
    "two policies": Run.split, "store unwritable": Run.unwritable, "daemon stopped": Run.stopped, "filter stopped": Run.filter_away, "bounces": Run.no_bounce,
}


def left_behind(scratch):
    """Processes that still have to do with the folder, and files in it."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(os.path.basename(path))
        text = b""
        for name in ("cmdline", "environ"):
            try:
                with open(f"{path}/{name}", "rb") as file:
                    text += file.read()
            except OSError:
                pass
        if scratch.encode() in text and pid != os.getpid():
            found.append(f"process {pid}: {text[:100]!r}")
    return found + [os.path.join(scratch, name) for name in os.listdir(scratch)]


def run(which, check):
    """Its row of the table, or why it was skipped."""
    lacks = which.lacks()
    if lacks:
        return lacks
    began = time.monotonic()
    home = tempfile.mkdtemp(prefix="site-")
    row = ["FAILED"] * len(COLUMNS)
    try:
        with which() as setup:
            try:
                setup.start(home)
            except filters.Missing as lacking:
                return str(lacking)
            failed = len(check.failed)
            runs = Run(setup, home, check)
            try:
                row = runs.all()
            finally:
                if len(check.failed) > failed:
                    print(f"--- {which.name}: the logs\n{runs.site.server and runs.site.server.logged()}\n{setup.logs()}", flush=True)
                runs.site.stop()
    except (Exception, filters.NoStart) as error:  # noqa: BLE001 - one set-up that does not start is one failure
        check(f"{which.name} runs", False, f"{error}\n{traceback.format_exc()}")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"{which.name}: {which.about}: {time.monotonic() - began:.0f} s", flush=True)
    return row


def main():
    names = sys.argv[1:] or SHORT
    known = {which.name: which for which in ALL}
    wrong = [name for name in names if name not in known and name != "all"]
    if wrong:
        sys.exit(f"there is no set-up {', '.join(wrong)}; there are: all, {', '.join(known)}")
    chosen = [which for which in ALL if which.name in names or "all" in names]
    need("swaks", "dovecot", "openssl")
    # Whoever ends this early finds nothing left, either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    check, rows, skipped = Checks(), {}, {}
    scratch = tempfile.mkdtemp(prefix="interop-")
    os.chmod(scratch, 0o755)
    tempfile.tempdir = os.environ["TMPDIR"] = scratch
    os.environ["TAKEN_PORTS"] = ports = tempfile.mkdtemp(prefix="ports-")
    os.chmod(ports, 0o755)
    try:
        for which in chosen:
            answer = run(which, check)
            (skipped if isinstance(answer, str) else rows)[which.name] = answer
        open_ports = [port for port in os.listdir(ports) if filters.listens(int(port))]
        check("no port is left open", not open_ports, open_ports)
        shutil.rmtree(ports)
        rest = wait_for(lambda: not left_behind(scratch), 5) or left_behind(scratch)
        check("nothing is left behind", rest is True, rest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if rows:
        print(f"\n| set-up | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
        for name, cells in rows.items():
            print(f"| {name} | {' | '.join(cells)} |")
    for name, why in skipped.items():
        print(f"skipped: {name}: {why}")
    if not rows:
        sys.exit(77)
    check.finish()


main()
