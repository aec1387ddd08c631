#!/usr/bin/python3
"""The exported map in Postfix's own programs: what check_sender_access would find."""
import os
import subprocess
import tempfile

import postfix
from lazaret import BINARY, Checks

root = postfix.need()
check = Checks()


def postmap(*arguments):
    lib = f"{root}/usr/lib/postfix"
    environment = {**os.environ, "LD_LIBRARY_PATH": lib, "MAIL_CONFIG": f"{folder}/conf"}
    return subprocess.run([f"{root}/usr/sbin/postmap", *arguments], capture_output=True, text=True, env=environment)


def lookup(kind, path, key):
    """As smtpd does it: the address, its domain, each domain above that (access(5))."""
    local, _, domain = key.rpartition("@")
    labels = domain.split(".")
    for wanted in [key, *(".".join(labels[n:]) for n in range(len(labels)))]:
        done = postmap("-q", wanted, f"{kind}:{path}")
        if done.returncode == 0:
            return done.stdout.strip()
        if done.stderr:
            return done.stderr
    return None


with tempfile.TemporaryDirectory(prefix="lazaret-postmap-") as folder:
    os.makedirs(os.path.join(folder, "lists"))
    os.makedirs(os.path.join(folder, "conf"))
    with open(os.path.join(folder, "conf/main.cf"), "w") as file:
        file.write(f"compatibility_level = 3.6\nshlib_directory = {root}/usr/lib/postfix\nmeta_directory = {folder}/conf\nmail_owner = mail\nsetgid_group = games\n")
    os.makedirs(os.path.join(folder, "data"), 0o700)
    config, path = os.path.join(folder, "lazaret.toml"), os.path.join(folder, "lists/postfix-senders")
    with open(config, "w") as file:
        file.write(f"""data = "{folder}/data"
users = "{folder}/users"
[page]
tls = []
[imap]
tls = []
starttls = []
[lists]
export = "{folder}/lists"
[domains."example.org"]
""")
    for words in (["block", "spam.example", "bore+x@far.example"], ["allow", "good@spam.example", "friend.example"], ["block", "--for", "example.org", "other.example"]):
        done = subprocess.run([BINARY, "--config", config, *words], capture_output=True, text=True)
        check(" ".join(words), done.returncode == 0, done.stdout + done.stderr)
    kinds = ["texthash"]
    made = postmap(f"hash:{path}")
    if check("postmap makes a table of it, and has nothing to say", made.returncode == 0 and not made.stderr, made.stderr):
        kinds.append("hash")
    for kind in kinds:
        for address, wanted in (
            ("x@spam.example", "REJECT"),
            ("x@news.spam.example", "REJECT"),
            ("bore+x@far.example", "REJECT"),
            ("good@spam.example", "DUNNO"),
            ("bore@far.example", None),
            ("x@friend.example", "DUNNO"),
            ("x@other.example", None),
            ("x@notspam.example", None),
        ):
            found = lookup(kind, path, address)
            check(f"{kind}: {address}", (found or "").startswith(wanted) if wanted else found is None, found)
check.finish()
