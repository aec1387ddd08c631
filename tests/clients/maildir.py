#!/usr/bin/python3
"""A copy of a recipient's tree read by others: Dovecot and Python's mailbox.Maildir see the same messages, flags, bytes."""
import imaplib
import mailbox
import os
import pwd
import re
import shutil
import subprocess
import tempfile

from lazaret import Checks, demo, need, ok

need("/usr/lib/dovecot/imap", "setpriv")
check = Checks()
NOBODY = pwd.getpwnam("nobody")
# Rendered flags of IMAP and letters of Maildir.
LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


def rows(connection, folder):
    """Sorted pairs of flags and bytes of a folder, \\Recent left out."""
    count = int(ok(connection.select(folder, readonly=True))[0])
    if count == 0:
        return []
    found = []
    for item in ok(connection.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")):
        if isinstance(item, tuple):
            head = item[0].decode()
            flags = set(re.search(r"FLAGS \(([^)]*)\)", head)[1].split()) - {"\\Recent"}
            found.append((tuple(sorted(flags)), item[1]))
    assert len(found) == count, f"{folder}: {len(found)} of {count} messages were read"
    return sorted(found)


def dovecot(tree):
    """Dovecot's IMAP server on standard input and output, logged in, reading the tree."""
    config = os.path.join(tree, "dovecot.conf")
    with open(config, "w") as file:
        file.write(f"""ssl = no
log_path = {tree}/dovecot.log
mail_location = maildir:{tree}/mail:LAYOUT=fs:INBOX={tree}/mail/Caught:INDEX=MEMORY
stats_writer_socket_path =
namespace inbox {{
  inbox = yes
  separator = /
}}
""")
    subprocess.run(["chown", "-R", f"{NOBODY.pw_uid}:{NOBODY.pw_gid}", tree], check=True)
    # The program is given its user as the login process would: by the environment.
    command = f"setpriv --reuid={NOBODY.pw_uid} --regid={NOBODY.pw_gid} --clear-groups env -i HOME={tree} USER=alice /usr/lib/dovecot/imap -c {config}"
    return imaplib.IMAP4_stream(command)


with demo() as server:
    alice = server.account("alice@example.org")
    imap = server.imap(alice)
    with check.part("set flags"):
        ok(imap.select("Caught"))
        uids = [u.decode() for u in ok(imap.uid("SEARCH", "ALL"))[0].split()]
        for uid, flags in zip(uids, [r"\Seen", r"\Flagged", r"\Answered \Seen", r"\Draft", r"\Deleted", r"\Seen \Flagged \Answered"]):
            ok(imap.uid("STORE", uid, "FLAGS", f"({flags})"))
        ok(imap.uid("STORE", uids[7], "+FLAGS", "($label1)"))
        ok(imap.uid("MOVE", uids[-1], "Trash"))
    with check.part("compare"):
        top = tempfile.mkdtemp(prefix="lazaret-maildir-")
        os.chmod(top, 0o755)
        shutil.copytree(os.path.join(server.info["data"], "mail/example.org/alice"), os.path.join(top, "mail"))
        for folder in ("Caught", "Trash"):
            ours = rows(imap, folder)
            check(f"{folder} is not empty", ours)
            box = mailbox.Maildir(os.path.join(top, "mail", folder), factory=None, create=False)
            theirs = sorted(("".join(sorted(set(box.get_message(k).get_flags()) & set("DFRST"))), box.get_bytes(k)) for k in box.keys())
            letters = sorted(("".join(sorted(LETTERS[f] for f in flags if f in LETTERS)), body) for flags, body in ours)
            # Ours shows CRLF always; files that came by the door hold CRLF already.
            check(f"{folder}: mailbox.Maildir sees the same flags and bytes", theirs == letters)
        other = dovecot(top)
        for folder in ("Caught", "Trash"):
            ours = rows(imap, folder)
            theirs = rows(other, "INBOX" if folder == "Caught" else folder)
            check(f"{folder}: Dovecot sees as many messages", len(ours) == len(theirs), f"{len(theirs)} instead of {len(ours)}")
            check(f"{folder}: Dovecot sees the same bytes", [b for _, b in ours] and sorted(b for _, b in ours) == sorted(b for _, b in theirs))
            check(f"{folder}: Dovecot sees the same flags", sorted(f for f, _ in ours) == sorted(f for f, _ in theirs),
                  f"{sorted(f for f, _ in ours)} and {sorted(f for f, _ in theirs)}")
        other.logout()
        shutil.rmtree(top)
    imap.logout()
check.finish()
