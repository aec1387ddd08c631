"""A Postfix of its own for a test: installed, or taken out of its package without installing it. Without root it believes that
it is root (libuid-wrapper), and all of it is whoever started the test."""
import atexit
import functools
import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import packages
from lazaret import free_port, wait_for

UNPACKED = os.path.join(packages.KEPT, "postfix")
# Whose rights what Postfix starts has when Postfix is not root: as a name, since it is whoever started the test all the same.
STRANGER = "daemon"
QUEUES = "incoming active bounce corrupt defer deferred flush hold maildrop pid private public saved trace".split()


@functools.cache
def need():
    """What `find` finds; the test is skipped when Postfix cannot be had."""
    found = find()
    if found is None:
        print("skipped: Postfix missing", flush=True)
        raise SystemExit(77)
    return found


def find():
    """The folder in which Postfix's files lie, "" when it is installed, None when it cannot be had."""

    def there(*roots):
        return next((root for root in roots if os.access(f"{root}/usr/lib/postfix/sbin/master", os.X_OK)), None)

    # Another mail server may be installed, with which the package conflicts: unpacked it takes nobody's place.
    root = there("", UNPACKED)
    if root is None:
        root = UNPACKED
        try:
            os.makedirs(root, exist_ok=True)
        except PermissionError:  # a tree of somebody else's
            root = tempfile.mkdtemp(prefix="postfix-root-")
            atexit.register(shutil.rmtree, root, ignore_errors=True)
        packages.unpack(root, "postfix")
    return there(root)


class Postfix:
    """A Postfix that hands everything to one SMTP port. `lines` go to its main.cf."""

    def __init__(self, root, relay_port, lines, services=""):
        self.place = tempfile.mkdtemp(prefix="postfix-")
        os.chmod(self.place, 0o755)
        self.port = free_port()
        self.queue = f"{self.place}/queue"
        for folder in QUEUES:
            os.makedirs(f"{self.queue}/{folder}")
        os.makedirs(f"{self.place}/data")
        os.makedirs(f"{self.place}/conf")
        self.wrapping = {}
        owner, others = "mail", "nobody"
        if os.geteuid() == 0:
            owned = [name for name in QUEUES if name not in ("pid",)]
            for folder in [*(f"{self.queue}/{name}" for name in owned), f"{self.place}/data"]:
                shutil.chown(folder, "mail", "mail")
            shutil.chown(f"{self.queue}/public", "mail", "games")
            shutil.chown(f"{self.queue}/maildrop", "mail", "games")
        else:
            self.wrap()
            owner, others = pwd.getpwuid(os.geteuid()).pw_name, STRANGER
        lib = f"{root}/usr/lib/postfix"
        passed = " ".join(["LD_LIBRARY_PATH", "MAIL_CONFIG", "MAIL_LOGTAG", *self.wrapping])
        self.environment = {**os.environ, **self.wrapping, "LD_LIBRARY_PATH": lib, "MAIL_CONFIG": f"{self.place}/conf", "MAIL_LOGTAG": "postfix"}
        with open(f"{self.place}/conf/main.cf", "w") as file:
            file.write(
                f"""compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {self.place}/data
command_directory = {root}/usr/sbin
daemon_directory = {lib}/sbin
shlib_directory = {lib}
meta_directory = {self.place}/conf
mail_owner = {owner}
setgid_group = games
default_privs = {others}
maillog_file = /var/log/postfix-test.log
maillog_file_prefixes = {self.place}, /var/log
import_environment = {passed}
export_environment = {passed}
myhostname = mx.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
relay_domains = example.org, example.net, example.com
relay_transport = relay:[127.0.0.1]:{relay_port}
default_transport = relay:[127.0.0.1]:{relay_port}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_client_restrictions =
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_recipient_maps =
smtputf8_enable = no
biff = no
""".replace("/var/log/postfix-test.log", f"{self.place}/log")
            )
            file.write(lines)
        with open(f"{self.place}/conf/master.cf", "w") as file:
            file.write(
                f"""127.0.0.1:{self.port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
{services}"""
            )
        self.master = f"{lib}/sbin/master"
        self.process = None

    def wrap(self):
        """Every daemon, and what it starts, is told that it is root and may be anybody."""
        folder = f"{self.place}/wrappers"
        lacking = packages.unpack(folder, "libuid-wrapper", "libnss-wrapper")
        if lacking:
            sys.exit(f"without root Postfix needs a wrapper: {lacking}")
        found = sorted(glob.glob(f"{folder}/usr/lib/**/lib*_wrapper.so", recursive=True))
        self.wrapping = {"LD_PRELOAD": ":".join(found), "UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1",
                         "NSS_WRAPPER_PASSWD": "/etc/passwd", "NSS_WRAPPER_GROUP": "/etc/group"}

    def __enter__(self):
        self.output = open(f"{self.place}/master.log", "wb")
        command = [self.master, "-c", f"{self.place}/conf", "-d"]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True
        )
        if not wait_for(self.answers, 30):
            text = self.logged()
            self.__exit__()
            sys.exit(f"Postfix does not start:\n{text}")
        return self

    def answers(self):
        if self.process.poll() is not None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.settimeout(5)
                return connection.recv(100).startswith(b"220")
        except OSError:
            return False

    def logged(self):
        text = ""
        for name in ("log", "master.log"):
            try:
                with open(f"{self.place}/{name}", errors="replace") as log:
                    text += log.read()[-6000:]
            except OSError:
                pass
        return text

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        time.sleep(0.2)
        shutil.rmtree(self.place, ignore_errors=True)
