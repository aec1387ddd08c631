#!/usr/bin/python3
"""A real Exim with the files of etc/exim, asking a real SpamAssassin: spam is refused with 550 and kept, a release goes past the
filter, clean mail passes untouched, and without filter or quarantine the sender is told to come again.

Exim and Postfix exclude each other as packages, so Exim is unpacked into a folder of its own and runs as nobody there.
"""
import glob
import os
import pwd
import re
import smtplib
import subprocess
import tempfile

import filters
from lazaret import BINARY, ROOT, Checks, Server, arrived, certificate, free_port, need, ok, wait_for
from servers import MailServer

need("spamd", "setpriv", "/usr/lib/x86_64-linux-gnu/libnss_wrapper.so")
check = Checks()
ALICE = "alice@example.org"
NOBODY = pwd.getpwnam("nobody")


def unpack(folder):
    """Debian's Exim and the libraries that it alone needs; the path of the program."""
    packages = ["exim4-daemon-heavy", "libmariadb3", "libspf2-2"]
    got = subprocess.run(["apt-get", "download", "-q", *packages], cwd=folder, capture_output=True, text=True, timeout=300)
    for package in glob.glob(f"{folder}/*.deb"):
        subprocess.run(["dpkg", "-x", package, f"{folder}/root"], check=True)
    program = f"{folder}/root/usr/sbin/exim4"
    if not os.path.exists(program):
        print(f"skipped: exim4-daemon-heavy cannot be had: {got.stderr.strip().splitlines()[-1:]}", flush=True)
        raise SystemExit(77)
    return program


class Exim(filters.Program):
    def __init__(self, spamd, lmtp, mailbox):
        super().__init__("exim")
        program, folder = unpack(self.folder), self.folder
        self.port, self.release = free_port(), free_port()
        self.ports = {"25": self.port, "10590": self.release, "783": spamd.port, "8024": lmtp}

        def snippet(name):
            with open(f"{ROOT}/etc/exim/{name}") as file:
                text = file.read()
            if name == "main":
                text = text.replace("= 25 : 10590", f"= {self.port} : {self.release}").replace("0.0.0.0.25", f"127.0.0.1.{self.port}")
                return text.replace("127.0.0.1.10590", f"127.0.0.1.{self.release}").replace("127.0.0.1 783", f"127.0.0.1 {spamd.port}")
            return text.replace("10590", str(self.release)).replace("port = 8024", f"port = {lmtp}")

        with open(f"{folder}/exim.conf", "w") as file:
            file.write(
                f"primary_hostname = mx.example.org\nexim_path = {program}\nspool_directory = {folder}/spool\nlog_file_path = {folder}/%slog\n"
                f"pid_file_path = {folder}/pid\nexim_user = nobody\nexim_group = nogroup\ndeliver_drop_privilege\nnever_users =\n"
                "tls_advertise_hosts =\nkeep_environment =\nlog_selector = +all_parents\nacl_smtp_rcpt = rcpt\nprdr_enable = false\n"
                f"{snippet('main')}\nbegin acl\nrcpt:\n  accept\n{snippet('acl')}\nbegin routers\n{snippet('router')}\n"
                f"mailbox:\n  driver = accept\n  transport = mailbox\n\nbegin transports\n{snippet('transport')}\n"
                f"mailbox:\n  driver = smtp\n  hosts = 127.0.0.1\n  port = {mailbox}\n  allow_localhost\n\nbegin retry\n* * F,1h,2s\n"
            )
        with open("/etc/passwd") as system, open(f"{folder}/passwd", "w") as mine:
            mine.write(system.read() + f"Debian-exim:x:{NOBODY.pw_uid}:{NOBODY.pw_gid}::/:/bin/false\n")
        with open("/etc/group") as system, open(f"{folder}/group", "w") as mine:
            mine.write(system.read() + f"Debian-exim:x:{NOBODY.pw_gid}:\n")
        os.makedirs(f"{folder}/spool")
        os.chmod(folder, 0o755)
        libraries = ":".join({os.path.dirname(path) for path in glob.glob(f"{folder}/root/usr/lib/**/lib*.so*", recursive=True)})
        self.environment = {
            "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries, "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_PASSWD": f"{folder}/passwd", "NSS_WRAPPER_GROUP": f"{folder}/group",
        }
        self.command = [program, "-C", f"{folder}/exim.conf"]
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{NOBODY.pw_uid}:{NOBODY.pw_gid}", f"{folder}/spool", folder], check=True)
            self.command = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", *self.command]
        self.start([*self.command, "-bdf", "-q5s"], lambda: filters.listens(self.port) and filters.listens(self.release), env=self.environment)

    def logs(self):
        out = self.logged()
        for path in glob.glob(f"{self.folder}/*log"):
            with open(path, errors="replace") as file:
                out += f"\n--- {path}\n" + file.read()[-3000:]
        return out


def send(port, message, recipients=(ALICE,)):
    """What the sender is told at the end."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.helo("client.spam.example")
            client.mail("sender@spam.example")
            for recipient in recipients:
                client.rcpt(recipient)
            return client.data(message)
    except smtplib.SMTPException as error:
        return 0, str(error)


def configure(home, lmtp, imap, route):
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f'data = "{home}/data"\nusers = "{home}/users"\n[imap]\ntls = ["127.0.0.1:{imap}"]\nstarttls = []\n[page]\ntls = []\n'
            f'[[lmtp]]\nlisten = "127.0.0.1:{lmtp}"\nclass = "incoming"\nverdict = ["spamassassin"]\n[domains."example.org"]\n'
            f'[[route]]\nname = "exim"\nhost = "127.0.0.1"\nport = {route}\n'
        )


mailbox = MailServer()
lmtp, imap = free_port(), free_port()
with tempfile.TemporaryDirectory() as home, filters.Spamd() as spamd, Exim(spamd, lmtp, mailbox.port) as exim:
    certificate(f"{home}/tls")
    configure(home, lmtp, imap, exim.release)
    subprocess.run([BINARY, "-c", f"{home}/lazaret.toml", "user", "add", ALICE], input=b"lazaret\n", check=True, stdout=subprocess.DEVNULL)

    def serve():
        server = Server("-c", f"{home}/lazaret.toml", "serve", wait_json=False)
        server.info = {"imaps": f"localhost:{imap}", "ca": f"{home}/tls/cert.pem"}
        check("lazaret listens", wait_for(lambda: filters.listens(lmtp) and filters.listens(imap)), server.logged())
        return server

    spam = filters.mail("spam", filters.GTUBE, mark="gtube")
    with serve() as server, check.part("spam, and its release"):
        code, text = send(exim.port, spam)
        check("spam is refused with a reference", code == 550 and b"kept in quarantine, reference" in text, (code, text, exim.logs()))
        connection = server.imap({"login": ALICE, "password": "lazaret"})
        ok(connection.select("Caught"))

        def there():
            connection.noop()
            return ok(connection.uid("SEARCH", "ALL"))[0].split()

        check("and kept", wait_for(lambda: len(there()) == 1, 30), exim.logs())
        header = ok(connection.uid("FETCH", there()[0], "(BODY.PEEK[HEADER.FIELDS (X-Lazaret-Score X-Lazaret-Reason)])"))[0][1]
        check("with its score", b"X-Lazaret-Score: 999" in header, header)
        check("and its reason", b"GTUBE" in header, header)
        clean = filters.mail("clean", mark="clean")
        check("clean mail is taken", send(exim.port, clean)[0] == 250)
        check("and arrives", wait_for(lambda: arrived(mailbox.messages(), clean) == 1, 30), exim.logs())
        ok(connection.uid("MOVE", there()[0], "Release"))
        body = filters.GTUBE.encode()
        check("what is released arrives past the filter", wait_for(lambda: any(body in m for m in mailbox.messages()), 30), exim.logs())
        released = next((m for m in mailbox.messages() if body in m), b"")
        bare = re.sub(rb"X-Pre-Release-[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", released)
        check("its bytes are those that were sent, but for what the filter said", bare.endswith(spam), released)
        check("no mailbox rule takes it for spam", b"\nX-Spam" not in released and b"\nX-Pre-Release-X-Spam-Flag: YES" in released, released)

    with check.part("lazaret is away"):
        later = filters.mail("later", filters.GTUBE, mark="later")
        check("the sender is refused all the same", send(exim.port, later)[0] == 550)
        with serve() as server:
            connection = server.imap({"login": ALICE, "password": "lazaret"})
            ok(connection.select("Caught"))
            check("the queue hands it over, once", wait_for(lambda: connection.noop() and ok(connection.uid("SEARCH", "ALL"))[0] == b"2", 40), exim.logs())

    with check.part("the filter is away"):
        spamd.process.terminate()
        spamd.process.wait(20)
        code, text = send(exim.port, filters.mail("unseen", mark="unseen"))
        check("the sender is told to come again", 400 <= code < 500, (code, text))
mailbox.stop()
check.finish()
