"""Mail servers of others, each in a folder of its own, on ports of its own, and as nobody when root starts them: Exim,
Sendmail, Dovecot and spamass-milter. (Postfix, which must be root, is in postfix.py.)
"""
import grp
import imaplib
import os
import pwd
import subprocess
import sys

import filters
import packages
from lazaret import ROOT, free_port, ok

NOBODY = pwd.getpwnam("nobody")
WRAPPER = "/usr/lib/x86_64-linux-gnu/libnss_wrapper.so"


def as_nobody(command, *folders):
    """The command of a program that must not be root, which the folders are given to."""
    if os.getuid() != 0:
        return command
    for folder in folders:
        subprocess.run(["chown", "-R", f"{NOBODY.pw_uid}:{NOBODY.pw_gid}", folder], check=True)
    return ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", *command]


def me():
    """Under which names of user and group such a program runs."""
    return ("nobody", "nogroup") if os.getuid() == 0 else (pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)


def changed(text, **changes):
    """A snippet of etc/ for the ports of a test; each change must be possible."""
    for old, new in changes.items():
        if old not in text:
            sys.exit(f"{old!r} is not in the snippet")
        text = text.replace(old, str(new))
    return text


def snippet(name, **changes):
    """A file of etc/, with the addresses of a test in place of those that it has."""
    with open(f"{ROOT}/etc/{name}") as file:
        return changed(file.read(), **changes)


class Server(filters.Program):
    """One that writes logs into its folder."""

    def logs(self):
        out = self.logged()
        for name in sorted(os.listdir(self.folder)):
            if name.endswith("log") and name != "log":
                with open(f"{self.folder}/{name}", errors="replace") as file:
                    out += f"\n--- {name}\n" + file.read()[-4000:]
        return out


class Exim(Server):
    """Debian's Exim with the files of etc/exim: it asks spamd, hands spam to an LMTP door and the rest to a mailbox server's."""

    PACKAGES = ("exim4-daemon-heavy", "libmariadb3", "libspf2-2")

    def __init__(self, spamd, door, mailbox):
        super().__init__("exim")
        folder = self.folder
        lacking = packages.unpack(f"{folder}/root", *self.PACKAGES)
        if lacking:
            self.stop()
            raise filters.Missing(lacking)
        program = f"{folder}/root/usr/sbin/exim4"
        self.port, self.release = free_port(), free_port()
        user, group = me()
        main = snippet("exim/main", **{"= 25 : 10590": f"= {self.port} : {self.release}", "0.0.0.0.25": f"127.0.0.1.{self.port}",
                                       "127.0.0.1.10590": f"127.0.0.1.{self.release}", "127.0.0.1 783": f"127.0.0.1 {spamd}"})
        with open(f"{folder}/exim.conf", "w") as file:
            file.write(
                f"primary_hostname = mx.example.org\nexim_path = {program}\nspool_directory = {folder}/spool\nlog_file_path = {folder}/%slog\n"
                f"pid_file_path = {folder}/pid\nexim_user = {user}\nexim_group = {group}\ndeliver_drop_privilege\nnever_users =\n"
                "tls_advertise_hosts =\nkeep_environment =\nlog_selector = +all_parents\nacl_smtp_rcpt = rcpt\nprdr_enable = false\n"
                f"{main}\nbegin acl\nrcpt:\n  accept\n{snippet('exim/acl', **{'10590': self.release})}\nbegin routers\n{snippet('exim/router')}\n"
                f"mailbox:\n  driver = accept\n  transport = mailbox\n\nbegin transports\n{snippet('exim/transport', **{'port = 8024': f'port = {door}'})}\n"
                f"mailbox:\n  driver = smtp\n  protocol = lmtp\n  hosts = 127.0.0.1\n  port = {mailbox}\n  allow_localhost\n  message_linelength_limit = 1G\n\nbegin retry\n* * F,1h,2s\n"
            )
        # The program looks for the user that its package makes.
        for name, line in (("passwd", f"Debian-exim:x:{os.getuid() or NOBODY.pw_uid}:{os.getgid() or NOBODY.pw_gid}::/:/bin/false\n"),
                           ("group", f"Debian-exim:x:{os.getgid() or NOBODY.pw_gid}:\n")):
            with open(f"/etc/{name}") as system, open(f"{folder}/{name}", "w") as mine:
                mine.write(system.read() + line)
        os.makedirs(f"{folder}/spool")
        os.chmod(folder, 0o755)
        environment = {
            "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": packages.libraries(f"{folder}/root"), "LD_PRELOAD": WRAPPER,
            "NSS_WRAPPER_PASSWD": f"{folder}/passwd", "NSS_WRAPPER_GROUP": f"{folder}/group",
        }
        command = as_nobody([program, "-C", f"{folder}/exim.conf", "-bdf", "-q5s"], folder)
        self.start(command, lambda: filters.listens(self.port) and filters.listens(self.release), env=environment)


class Sendmail(Server):
    """Debian's Sendmail with the lines of etc/sendmail: it asks a milter and hands everything to a mailbox server."""

    PACKAGES = ("sendmail-bin", "sendmail-cf", "m4")

    def __init__(self, milter, mailbox):
        super().__init__("sendmail")
        folder, root = self.folder, f"{self.folder}/root"
        lacking = packages.unpack(root, *self.PACKAGES)
        if lacking:
            self.stop()
            raise filters.Missing(lacking)
        self.port = free_port()
        user, group = me()
        os.makedirs(f"{folder}/queue")
        # No file or service of the machine is looked at; without a dot in its own name it sleeps for a minute.
        hosts = "127.0.0.1 mx.example.org localhost\n"
        for name, text in {"switch": "hosts files\naliases files\n", "aliases": "", "names": "mx.example.org\n", "hosts": hosts}.items():
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        with open(f"{folder}/sendmail.mc", "w") as file:
            file.write(
                f"""OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.example.org')dnl
define(`confCW_FILE', `{folder}/names')dnl
FEATURE(`use_cw_file')dnl
define(`confRUN_AS_USER', `{user}:{group}')dnl
define(`confTRUSTED_USER', `{user}')dnl
define(`confDEF_USER_ID', `{user}:{group}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `{folder}/names')dnl
define(`ALIAS_FILE', `{folder}/aliases')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confEIGHT_BIT_HANDLING', `pass8')dnl
define(`confTO_IDENT', `0s')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe,RunProgramInUnsafeDirPath')dnl
define(`confDELIVERY_MODE', `background')dnl
FEATURE(`nocanonify')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
define(`SMART_HOST', `mailbox:[127.0.0.1]')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={self.port}, Addr=127.0.0.1')dnl
{snippet('sendmail/lazaret.mc', **{'inet:8026@': f'inet:{milter}@'})}
MAILER(`smtp')dnl
MAILER_DEFINITIONS
Mmailbox, P=[IPC], F=lsDFMuXzm8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=0, T=DNS/RFC822/SMTP, A=TCP $h {mailbox}
"""
            )
        environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": packages.libraries(root), "LD_PRELOAD": WRAPPER,
                       "NSS_WRAPPER_HOSTNAME": "mx.example.org", "NSS_WRAPPER_HOSTS": f"{folder}/hosts"}
        cf = f"{root}/usr/share/sendmail/cf"
        with open(f"{folder}/sendmail.cf", "w") as file:
            command = [f"{root}/usr/bin/m4", f"-D_CF_DIR_={cf}/", f"{cf}/m4/cf.m4", f"{folder}/sendmail.mc"]
            subprocess.run(command, check=True, stdout=file, stderr=subprocess.DEVNULL, env=environment)
        os.chmod(folder, 0o755)
        program = f"{root}/usr/libexec/sendmail/sendmail"
        command = as_nobody([program, "-bD", "-q2s", f"-C{folder}/sendmail.cf", f"-X{folder}/traffic-log"], folder)
        self.start(command, lambda: filters.listens(self.port), env=environment)


class OpenSmtpd(filters.Program):
    """Debian's OpenSMTPD with the lines of etc/opensmtpd: filter-rspamd asks, and everything goes to a mailbox server. It must be
    root, and its queue is the machine's, which it does not see here."""

    def __init__(self, rspamd, mailbox):
        super().__init__("opensmtpd")
        folder = self.folder
        lacking = packages.unpack(f"{folder}/root", "opensmtpd-filter-rspamd")
        if lacking:
            self.stop()
            raise filters.Missing(lacking)
        self.port, self.release = free_port(), free_port()
        lines = snippet("opensmtpd/smtpd.conf", **{
            "/usr/libexec/opensmtpd": f"{folder}/root/usr/libexec/opensmtpd", "127.0.0.1:11333": f"127.0.0.1:{rspamd}",
            "0.0.0.0 port 25": f"127.0.0.1 port {self.port}", "port 10590": f"port {self.release}",
        })
        with open(f"{folder}/smtpd.conf", "w") as file:
            file.write(f'{lines}\naction "mailbox" relay host "lmtp://127.0.0.1:{mailbox}"\nmatch from any for any action "mailbox"\n')
        os.makedirs(f"{folder}/spool")
        for path in (folder, f"{folder}/spool"):
            os.chmod(path, 0o711)
        mount = f'mount --bind "{folder}/spool" /var/spool/smtpd && exec /usr/sbin/smtpd -d -f "{folder}/smtpd.conf"'
        self.start(["unshare", "-m", "sh", "-c", mount], lambda: filters.listens(self.port) and filters.listens(self.release))


class Dovecot(Server):
    """Debian's Dovecot as the store of mailboxes: mail comes in by LMTP, and is read over IMAP. Every address has a mailbox."""

    def __init__(self):
        super().__init__("dovecot")
        self.lmtp, self.imap = free_port(), free_port()
        user, group = me()
        folder = self.folder
        for name in ("run", "state", "mail"):
            os.makedirs(f"{folder}/{name}")
        with open(f"{folder}/dovecot.conf", "w") as file:
            file.write(f"""base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot-log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_home = {folder}/mail/%u
mail_location = maildir:~/Maildir
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
stats_writer_socket_path =
passdb {{
  driver = static
  args = password=lazaret
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u allow_all_users=yes
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap-hibernate {{
  chroot =
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    port = {self.lmtp}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
""")
        os.chmod(folder, 0o755)
        command = as_nobody(["/usr/sbin/dovecot", "-F", "-c", f"{folder}/dovecot.conf"], folder)
        self.start(command, lambda: filters.listens(self.lmtp) and filters.listens(self.imap))

    def messages(self, recipient):
        """All that lies in a mailbox, as IMAP shows it."""
        with imaplib.IMAP4("127.0.0.1", self.imap, timeout=60) as connection:
            connection.login(recipient, "lazaret")
            ok(connection.select("INBOX", readonly=True))
            found = ok(connection.search(None, "ALL"))[0].split()
            if not found:
                return []
            return [item[1] for item in ok(connection.fetch(b",".join(found), "(BODY.PEEK[])")) if isinstance(item, tuple)]


class SpamassMilter(filters.Program):
    """Debian's spamass-milter, which marks what spamd finds and refuses nothing."""

    def __init__(self, spamd):
        super().__init__("spamass-milter")
        lacking = packages.unpack(f"{self.folder}/root", "spamass-milter", "libmilter1.0.1")
        if lacking:
            self.stop()
            raise filters.Missing(lacking)
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        command = [f"{self.folder}/root/usr/sbin/spamass-milter", "-p", f"inet:{self.port}@127.0.0.1", "-m", "--", "-d", "127.0.0.1", "-p", str(spamd)]
        environment = {**os.environ, "LD_LIBRARY_PATH": packages.libraries(f"{self.folder}/root")}
        self.start(as_nobody(command, self.folder), lambda: filters.listens(self.port), env=environment)
