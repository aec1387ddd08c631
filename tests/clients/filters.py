"""The real filters, each in a folder of its own with its own configuration and ports: rspamd, SpamAssassin's spamd, amavis.

They look nothing up in the network, so that a test says the same everywhere.
"""
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from lazaret import ROOT, TODAY, free_port, wait_for

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
# Makes spam of what a test marks: rules with words of their own, and points that add up.
RULES_LUA = """
local function rule(name, score, text, word)
  rspamd_config:register_symbol{ name = name, score = score, type = 'normal', group = 'test', description = text,
    callback = function(task)
      local subject = task:get_subject() or ''
      if subject:find(word, 1, true) then return true, 1.0, {'word ' .. word, 'naïve'} end
    end }
end
rule('LAZARET_REJECT', 20.0, 'the subject says that it is spam', 'reject-me')
rule('LAZARET_MARK', 8.0, 'the subject says that it may be spam', 'mark-me')
rule('CLAM_VIRUS', 20.0, 'a virus for the tests', 'virus-me')
rspamd_config:register_symbol{ name = 'LAZARET_LATER', type = 'prefilter', callback = function(task)
  if (task:get_subject() or ''):find('later-me', 1, true) then task:set_pre_result('soft reject', 'come again later') end
end }
"""


class Missing(Exception):
    """What a program needs cannot be had; the text says what."""


# A database that rspamd needs no other program for.
BAYES = """backend = "sqlite3";
cache { path = "${DBDIR}/learned.sqlite"; }
statfile { symbol = "BAYES_HAM"; path = "${DBDIR}/ham.sqlite"; spam = false; }
statfile { symbol = "BAYES_SPAM"; path = "${DBDIR}/spam.sqlite"; spam = true; }
"""
# What rspamd compiles its lists of names to, kept from one test to the next: it takes 8 s of a core, and more on a busy machine
# than a test waits.
PATTERNS = f"{ROOT}/target/rspamd-patterns"
# SpamAssassin's, in the folder of its own.
SA_BAYES = "use_bayes 1\nuse_learner 1\nbayes_auto_learn 0\nbayes_path {folder}/home/bayes\nbayes_file_mode 0666\n"


class NoStart(SystemExit):
    """A daemon does not start: a test that does not catch it ends with what the daemon says."""


class Program:
    """A daemon in a scratch folder; as a context manager it is ended and its folder removed."""

    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix=f"{name}-")
        self.process = None

    def start(self, command, ready, seconds=120, **more):
        self.log = os.path.join(self.folder, "log")
        self.output = open(self.log, "wb")
        self.process = subprocess.Popen(command, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True, **more)
        if not wait_for(lambda: self.process.poll() is not None or ready(), seconds) or self.process.poll() is not None:
            text = self.logged()
            self.stop()
            raise NoStart(f"{' '.join(command[:8])} does not start:\n{text}")

    def logged(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-6000:]

    def stop(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self):
        """Ends the processes; the folder stays."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            with contextlib.suppress(ProcessLookupError):  # what it left behind
                os.killpg(self.process.pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Rspamd(Program):
    """rspamd: `port` scans, `proxy` speaks milter. `local` are files for its local.d."""

    def __init__(self, local=None, lua=""):
        super().__init__("rspamd")
        self.port, self.controller, self.proxy = free_port(), free_port(), free_port()
        self.socket = os.path.join(self.folder, "normal.sock")
        files = {
            "options.inc": "dns { nameserver = [\"127.0.0.1:1\"]; timeout = 0.1s; retransmits = 1; }\nlocal_addrs = [];\nfilters = \"regexp\";\n"
            "gtube_patterns = \"all\";\n",
            "logging.inc": "type = \"console\";\nlevel = \"notice\";\n",
            "worker-normal.inc": f"bind_socket = \"127.0.0.1:{self.port}\";\nbind_socket = \"{self.socket} mode=0666\";\ncount = 1;\n",
            "worker-controller.inc": f"bind_socket = \"127.0.0.1:{self.controller}\";\ncount = 1;\n",
            "worker-proxy.inc": f"bind_socket = \"127.0.0.1:{self.proxy}\";\ncount = 1;\nmilter = yes;\n"
            "upstream \"local\" { default = yes; self_scan = yes; }\n",
            "milter_headers.conf": "extended_spam_headers = true;\nskip_local = false;\nskip_authenticated = false;\n",
        }
        # What would ask the network, or needs Redis.
        for module in ("rbl", "surbl", "fuzzy_check", "spf", "dkim", "dmarc", "arc", "asn", "mx_check", "phishing", "greylist", "ratelimit",
                       "replies", "bayes_expiry", "neural", "reputation", "history_redis", "dkim_signing", "maillist", "metadata_exporter"):
            files[f"{module}.conf"] = "enabled = false;\n"
        files.update(local or {})
        os.makedirs(f"{self.folder}/local/local.d")
        os.makedirs(f"{self.folder}/local/override.d")
        os.makedirs(PATTERNS, exist_ok=True)
        copy_patterns(PATTERNS, f"{self.folder}/db")
        for name, text in files.items():
            with open(f"{self.folder}/local/local.d/{name}", "w") as file:
                file.write(text)
        with open(f"{self.folder}/local/rspamd.local.lua", "w") as file:
            file.write(RULES_LUA + lua)
        command = ["rspamd", "-f", "-c", "/etc/rspamd/rspamd.conf"]
        command += [f"--var={name}={self.folder}/{sub}" for name, sub in (("DBDIR", "db"), ("RUNDIR", "db"), ("LOGDIR", "db"), ("LOCAL_CONFDIR", "local"))]
        if os.getuid() == 0:
            owner = next((name for name in ("_rspamd", "rspamd", "nobody") if name in {p.pw_name for p in pwd.getpwall()}))
            subprocess.run(["chown", "-R", owner, self.folder], check=True)
            command = ["setpriv", f"--reuid={owner}", "--clear-groups", f"--regid={pwd.getpwnam(owner).pw_gid}", *command]
        def start():
            self.start(command, lambda: listens(self.port) and listens(self.proxy))
            copy_patterns(f"{self.folder}/db", PATTERNS)

        start()
        if "classifier-bayes.conf" in files:
            # Its processes make the databases at once, and one that finds them locked goes without: the second time they are there.
            wait_for(lambda: all(os.path.exists(f"{self.folder}/db/{name}.sqlite") for name in ("ham", "spam")))
            time.sleep(1)
            self.end()
            start()

    def learned(self):
        """How many messages it knows as ham and as spam, by its own statistics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.controller}/stat", timeout=20) as answer:
            files = json.load(answer)["statfiles"]
        return tuple(sum(f["revision"] for f in files if f["symbol"] == f"BAYES_{what}") for what in ("HAM", "SPAM"))


def copy_patterns(source, to):
    """Copies what is not there yet, each file in one step: tests run at once."""
    os.makedirs(to, exist_ok=True)
    for name in {name for name in os.listdir(source) if name.endswith(".hsmp")} - set(os.listdir(to)):
        part = f"{to}/{name}.{os.getpid()}"
        with contextlib.suppress(PermissionError):  # root has kept some, and this is not root
            shutil.copy(f"{source}/{name}", part)
            os.rename(part, f"{to}/{name}")


class Spamd(Program):
    """SpamAssassin's spamd, on a port and a Unix socket, with a rule of the tests."""

    def __init__(self, *options, config="use_bayes 0\n"):
        super().__init__("spamd")
        self.port = free_port()
        os.makedirs(f"{self.folder}/home")
        shutil.copytree("/etc/spamassassin", f"{self.folder}/site", ignore=shutil.ignore_patterns("sa-update*"))
        with open(f"{self.folder}/site/local.cf", "w") as file:
            file.write(config.format(folder=self.folder) + "required_score 5\nskip_rbl_checks 1\ndns_available no\nreport_safe 0\n"
                       "header LAZARET_REJECT Subject =~ /reject-me/\ndescribe LAZARET_REJECT the subject says that it is spam, in a line that is so "
                       "long that it goes on\nscore LAZARET_REJECT 20\n"
                       "header LAZARET_HELO X-Spam-Relays-Untrusted =~ /helo=client\\.spam\\.example .*envfrom=/\n"
                       "describe LAZARET_HELO the client was told\nscore LAZARET_HELO 0.5\n")
        command = ["spamd", "-L", "-i", "127.0.0.1", "-p", str(self.port), "-m", "2", "-x", "-s", "stderr",
                   f"--siteconfigpath={self.folder}/site", "-H", f"{self.folder}/home", *options]
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "nobody", self.folder], check=True)
            command += ["-u", "nobody"]
        self.start(command, lambda: listens(self.port), env={**os.environ, "HOME": f"{self.folder}/home"})
        self.scan()

    def scan(self):
        """Its first look at a message reads all rules, which takes longer than a mail server's patience on a busy machine."""
        with socket.create_connection(("127.0.0.1", self.port), 90) as connection:
            text = b"Subject: first\r\n\r\nx\r\n"
            connection.sendall(b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(text), text))
            answer = connection.recv(100)
            if b"EX_OK" not in answer:
                raise RuntimeError(f"spamd does not scan: {answer!r}")

    def learned(self):
        return sa_learned(f"{self.folder}/home/bayes")


def sa_learned(database):
    """How many messages SpamAssassin knows as ham and as spam, by its own statistics."""
    out = subprocess.run(["sa-learn", "--dump", "magic", "--dbpath", database], capture_output=True, text=True, timeout=60).stdout
    counts = {line.split()[-1]: int(line.split()[2]) for line in out.splitlines() if line.endswith(("nham", "nspam"))}
    return counts.get("nham", 0), counts.get("nspam", 0)


class Amavis(Program):
    """amavis behind a mail server: it quarantines by LMTP to `quarantine` (a port), and hands on to `forward` by SMTP. `more` is
    added to its configuration."""

    def __init__(self, quarantine, forward=1, more=""):
        super().__init__("amavis")
        self.port = free_port()
        home = f"{self.folder}/home"
        self.bayes = f"{home}/bayes/db"
        with open(f"{self.folder}/prefs", "w") as file:
            file.write(f"bayes_path {self.bayes}\nbayes_file_mode 0777\nbayes_auto_learn 0\n")
        with open(f"{self.folder}/conf", "w") as file:
            file.write(f"""use strict;
$max_servers = 1; $daemon_user = 'amavis'; $daemon_group = 'amavis'; $mydomain = 'example.org'; $myhostname = 'mx.example.org';
$MYHOME = '{home}'; $TEMPBASE = "$MYHOME/tmp"; $db_home = "$MYHOME/db"; $lock_file = "$MYHOME/lock"; $pid_file = "$MYHOME/pid";
$QUARANTINEDIR = undef; $enable_db = 0; $do_syslog = 0; $LOGFILE = "$MYHOME/amavis.log"; $log_level = 1;
@local_domains_maps = (['.example.org', '.example.net']); $inet_socket_port = {self.port}; $inet_socket_bind = '127.0.0.1';
$sa_tag_level_deflt = -999; $sa_tag2_level_deflt = 5; $sa_kill_level_deflt = 5; $sa_local_tests_only = 1; @bypass_virus_checks_maps = (1);
$sa_userprefs_file = '{self.folder}/prefs';
$spam_quarantine_method = $banned_files_quarantine_method = 'lmtp:[127.0.0.1]:{quarantine}';
$spam_quarantine_to = $banned_quarantine_to = '%a';
$final_spam_destiny = D_DISCARD; $final_banned_destiny = D_DISCARD; $forward_method = $notify_method = 'smtp:[127.0.0.1]:{forward}';
$banned_filename_re = new_RE(qr'[.]exe$'i);
{more}
1;
""")
        # amavis refuses a configuration that it could change.
        os.chmod(self.folder, 0o755)
        for name in ("tmp", "db", "bayes"):
            os.makedirs(f"{home}/{name}")
        subprocess.run(["chown", "-R", "amavis", home], check=True)
        # Whoever trains it may write there.
        os.chmod(f"{home}/bayes", 0o777)
        self.start(["amavisd", "-c", f"{self.folder}/conf", "foreground"], lambda: listens(self.port))

    def logged(self):
        out = super().logged()
        with contextlib.suppress(OSError), open(f"{self.folder}/home/amavis.log", errors="replace") as log:
            out += log.read()[-6000:]
        return out

    def learned(self):
        return sa_learned(self.bayes)


def mail(subject, body="Hello.", recipient="alice@example.org", mark="x"):
    """A plain message."""
    return (f"From: Sender <sender@spam.example>\r\nTo: {recipient}\r\nSubject: {subject}\r\nMessage-ID: <{mark}@spam.example>\r\n"
            f"Date: {TODAY}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{body}\r\n").encode()


if __name__ == "__main__":
    # For a test that is no Python: both run until standard input ends; one line of JSON says where, or what is missing.
    missing = [program for program in ("rspamd", "spamd") if not shutil.which(program)]
    if missing:
        print(json.dumps({"missing": missing}), flush=True)
        sys.exit(0)
    with Rspamd() as rspamd, Spamd() as spamd:
        print(json.dumps({"rspamd": rspamd.port, "socket": rspamd.socket, "spamd": spamd.port, "gtube": GTUBE}), flush=True)
        sys.stdin.read()
