#!/usr/bin/python3
"""fetchmail in both modes of write-only folders: keep, fetch and delete, several folders, every folder."""
import os
import subprocess
import tempfile

from changing import Quarantine, held, mid
from lazaret import ACTIONS, Checks, marked, need, quoted

need("fetchmail")
check = Checks()
FETCHED, NOTHING, ERROR = 0, 1, 7


def run(mode):
    with tempfile.TemporaryDirectory(prefix="lazaret-fetchmail-") as folder, Quarantine(folder, mode) as server:
        imap, out = server.session(), os.path.join(folder, "out")
        os.mkdir(out)
        with open(f"{folder}/mda", "w") as file:
            file.write(f"#!/bin/sh\nexec cat >{out}/$$\n")
        os.chmod(f"{folder}/mda", 0o755)

        def fetch(options):
            """Exit code, what it said, and the messages that it brought."""
            with open(f"{folder}/fetchmailrc", "w") as file:
                file.write(f"""poll localhost service {server.ports['imaps']} protocol IMAP
 user "alice@example.org" password "a-secret" ssl sslcertfile {server.ca} sslcertck {options} mda "{folder}/mda"
""")
            os.chmod(f"{folder}/fetchmailrc", 0o600)
            command = ["fetchmail", "-f", f"{folder}/fetchmailrc", "--pidfile", f"{folder}/pid", "--idfile", f"{folder}/ids", "--nosyslog"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": folder, "LC_ALL": "C"})
            brought = []
            for name in os.listdir(out):
                with open(f"{out}/{name}", "rb") as file:
                    brought.append(file.read())
                os.unlink(f"{out}/{name}")
            return done.returncode, done.stdout + done.stderr, brought

        def brings(what, options, code, marks):
            got, text, brought = fetch(options)
            held_now = sorted(mid(m) for m in brought)
            check(f"{mode}: {what}", got == code and held_now == sorted(f"<{m}@partner.example>" for m in marks), f"exit {got}, {held_now}: {text}")
            return brought

        for mark in ("f1", "f2"):
            server.deliver(mark)
        brought = brings("with keep, it fetches from Caught", "folder Caught keep", FETCHED, ["f1", "f2"])
        # fetchmail hands on LF, and puts a Received line of its own on top.
        bodies = sorted(m.partition(b"\n\n")[2] for m in brought)
        wanted = sorted(marked(m).replace(b"\r\n", b"\n").partition(b"\n\n")[2] for m in ("f1", "f2"))
        check(f"{mode}: the bodies are the same", bodies == wanted, bodies)
        check(f"{mode}: what was fetched is seen, and stays", [f for _, f in held(imap, "Caught")] == ["S", "S"])
        brings("a second time it has nothing to do", "folder Caught keep", NOTHING, [])
        server.deliver("f3")
        brings("it fetches what is new", "folder Caught keep", FETCHED, ["f3"])
        brings("without folder it looks into INBOX", "keep", NOTHING, [])
        server.deliver("f4")
        # In mode refuse the first folder that does not open ends the poll: those named before it were fetched.
        every = ",".join(quoted(name) for name in ["Caught", "Trash", *ACTIONS])
        brings("every folder, the write-only ones last", f"folder {every} keep", ERROR if mode == "refuse" else FETCHED, ["f4"])
        server.deliver("f5")
        brings("a write-only folder first", "folder Spam,Caught keep", ERROR if mode == "refuse" else FETCHED, [] if mode == "refuse" else ["f5"])
        brings("fetchall without keep", "folder Caught fetchall nokeep", FETCHED, ["f1", "f2", "f3", "f4", "f5"])
        check(f"{mode}: then Caught is empty", not held(imap, "Caught"), held(imap, "Caught"))
        imap.logout()


for mode in ("refuse", "empty"):
    with check.part(mode):
        run(mode)
check.finish()
