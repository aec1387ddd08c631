#!/usr/bin/python3
"""SCRAM-SHA-256 with clients that others wrote: mbsync (Cyrus SASL) and neomutt (GNU SASL)."""
import os
import re
import subprocess
import tempfile

from lazaret import BINARY, Checks, demo, need, ok, split, wait_for

need("mbsync", "/usr/lib/x86_64-linux-gnu/sasl2/libscram.so")
check = Checks()


def announced(server):
    """The mechanisms in the greeting."""
    import imaplib
    import ssl

    host, port = split(server.info["imaps"])
    connection = imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(cafile=server.info["ca"]), timeout=60)
    words = connection.capabilities
    connection.shutdown()
    return words


def pull(server, login, password, folder):
    _, port = split(server.info["imaps"])
    os.makedirs(f"{folder}/mail", exist_ok=True)
    config = os.path.join(folder, "mbsyncrc")
    with open(config, "w") as file:
        file.write(f"""IMAPStore far
Host localhost
Port {port}
User {login}
Pass "{password}"
AuthMechs SCRAM-SHA-256
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
Sync Pull New
SyncState *
""")
    done = subprocess.run(["mbsync", "-V", "-c", config, "-a"], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr + done.stdout


def neomutt(server, login, password, folder):
    """Opens Caught and leaves it; neomutt wants a terminal."""
    config = os.path.join(folder, "muttrc")
    user = login.replace("@", "%40")
    with open(config, "w") as file:
        file.write(f"""set imap_user="{login}"
set imap_pass="{password}"
set imap_authenticators="scram-sha-256"
set folder="imaps://{user}@{server.info['imaps']}/"
set spoolfile="=Caught"
set certificate_file="{server.info['ca']}"
set ssl_verify_host=no
set ssl_force_tls=yes
set header_cache=""
""")
    run = f"script -qec 'neomutt -n -F {config} -d 2 -l {folder}/log -e \"push <exit>\"' /dev/null"
    subprocess.run(run, shell=True, timeout=60, capture_output=True, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm", "HOME": folder})
    for name in (f"{folder}/log", f"{folder}/log0", f"{folder}/.neomuttdebug0"):
        if os.path.exists(name):
            with open(name, errors="replace") as log:
                return log.read()
    return ""


with demo() as server, tempfile.TemporaryDirectory(prefix="lazaret-scram-") as folder:
    with check.part("announced"):
        check("not announced while nobody can use it", "AUTH=SCRAM-SHA-256" not in announced(server))
        command = [BINARY, "--config", server.info["config"], "user", "passwd", "alice@example.org", "--scheme", "scram-sha-256"]
        done = subprocess.run(command, input="a secret, 2\n", capture_output=True, text=True)
        check("the account takes the scheme", done.returncode == 0, done.stderr)
        check("announced then", wait_for(lambda: "AUTH=SCRAM-SHA-256" in announced(server)))
    with check.part("PLAIN"):
        imap = server.imap({"login": "alice@example.org", "password": "a secret, 2"})
        ok(imap.select("Caught"))
        imap.logout()
    with check.part("mbsync"):
        code, text = pull(server, "alice@example.org", "a secret, 2", f"{folder}/right")
        check("mbsync logs in", code == 0 and os.listdir(f"{folder}/right/mail/Caught/new"), (code, text))
        check("with SCRAM-SHA-256", "SCRAM-SHA-256" in text, text)
        code, text = pull(server, "alice@example.org", "wrong", f"{folder}/wrong")
        check("mbsync is refused with a wrong password", code != 0 and re.search("AUTHENTICATIONFAILED|authentication", text), text)
        code, text = pull(server, "nobody@example.org", "a secret, 2", f"{folder}/nobody")
        check("mbsync is refused without an account", code != 0, text)
    with check.part("neomutt"):
        log = neomutt(server, "alice@example.org", "a secret, 2", folder)
        check("neomutt logs in with SCRAM-SHA-256", "SCRAM-SHA-256" in log.upper() and "SELECT" in log.upper(), log[-3000:])
check.finish()
