#!/usr/bin/python3
"""mbsync as each of the three scopes: pull Caught, compare every byte with what imaplib reads; push flags back."""
import mailbox
import os
import re
import subprocess
import tempfile

from lazaret import Checks, demo, need, ok, split

need("mbsync")
check = Checks()


def pull(server, account, folder):
    # mbsync compares the certificate with a name, never with an IP address.
    _, port = split(server.info["imaps"])
    config = os.path.join(folder, "mbsyncrc")
    with open(config, "w") as file:
        file.write(f"""IMAPStore far
Host localhost
Port {port}
User {account["login"]}
Pass {account["password"]}
SSLType IMAPS
SystemCertificates no
CertificateFile {server.info["ca"]}

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel caught
Far :far:
Near :near:
Patterns Caught
Create Near
Sync Pull Push Flags New
SyncState *
""")
    os.makedirs(f"{folder}/mail", exist_ok=True)
    done = subprocess.run(["mbsync", "-c", config, "-a"], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr + done.stdout


def compare(server, account):
    scope = account["scope"]
    with tempfile.TemporaryDirectory(prefix="lazaret-mbsync-") as folder:
        code, text = pull(server, account, folder)
        check(f"{scope}: mbsync pulls Caught", code == 0, f"exit {code}: {text}")
        imap = server.imap(account)
        count = int(ok(imap.select("Caught"))[0])
        data = ok(imap.uid("FETCH", "1:*", "(BODY.PEEK[])"))
        # mbsync stores LF, loses a CR within a line, and skips (saying so) a message whose header has no empty line behind it.
        far = sorted(item[1].replace(b"\r", b"") for item in data if isinstance(item, tuple) and b"\r\n\r\n" in item[1])
        near = mailbox.Maildir(f"{folder}/mail/Caught", factory=None, create=False)
        # It marks what it pulled with a header of its own.
        local = {key: re.sub(rb"X-TUID: .*\n", b"", near.get_bytes(key), count=1) for key in near.keys()}
        check(f"{scope}: mbsync pulled {len(far)} of {count}", len(local) == len(far) >= count - 1, len(local))
        check(f"{scope}: the bytes are the same", sorted(local.values()) == far)

        key = next(k for k, message in local.items() if b"Subject: mark" not in message)
        message = near.get_message(key)
        flagged = local[key]
        message.add_flag("FS")
        message.set_subdir("cur")
        near[key] = message
        code, text = pull(server, account, folder)
        check(f"{scope}: mbsync pushes flags", code == 0, f"exit {code}: {text}")
        ok(imap.select("Caught"))
        uids = ok(imap.uid("SEARCH", "FLAGGED", "SEEN"))[0].split()
        bodies = [next(i[1] for i in ok(imap.uid("FETCH", u, "(BODY.PEEK[])")) if isinstance(i, tuple)) for u in uids]
        check(f"{scope}: the flags arrived", flagged in [b.replace(b"\r", b"") for b in bodies], uids)
        for uid in uids:
            ok(imap.uid("STORE", uid, "-FLAGS", r"(\Flagged \Seen)"))
        code, text = pull(server, account, folder)
        check(f"{scope}: a further run has nothing to complain of", code == 0, f"exit {code}: {text}")
        imap.logout()


with demo() as server:
    for account in server.info["accounts"]:
        with check.part(account["scope"]):
            compare(server, account)
check.finish()
