"""The set-ups that interop.py runs: a mail server and a filter from Debian, and Lazaret between them, joined by the very files
of etc/. A set-up says what is to be started and how it answers; what must hold in each is in interop.py.
"""
import contextlib
import os
import shutil

import filters
import postfix
from mailservers import WRAPPER, Dovecot, Exim, OpenSmtpd, Sendmail, SpamassMilter, me, snippet
from lazaret import free_port

# Enough different words to learn from.
WORDS = "\r\n".join(f"word{n}of{{}} costs{n * 7}" for n in range(60))
# Mail for the sender, too, ends in a mailbox here: nobody who is named as one is to have any.
DOMAINS, SENDER = "example.org, example.net, spam.example", "sender@spam.example"
# Tries again at once what could not be handed over.
IMPATIENT = "queue_run_delay = 2s\nminimal_backoff_time = 2s\nmaximal_backoff_time = 4s\n"


class Setup(contextlib.ExitStack):
    """What stands around Lazaret; as a context manager it is ended."""

    name = about = ""
    programs = ()
    # What the sender of spam reads, and the part of it that is found again in the header of what was kept; None: spam is
    # taken, and the sender never knows.
    refusal = r"5\d\d .*kept, reference (\S+?)(?::|$)"
    # What becomes of spam when it cannot be kept: "put off" (the sender is told to come again), "queued" (the mail server tries
    # again by itself), "left" (in Lazaret's own intake, for the next start).
    when_full = when_stopped = "put off"
    # A message to recipients with different policies: "452" (the second is told to send again) or "one answer".
    split = "452"
    # The program that must be started by root.
    root = ""
    # What makes spam of a message: in its text, or its subject.
    spam, subject = filters.GTUBE, ""
    # The subject of what is refused, too, if the filter learns nothing from GTUBE.
    lesson = ""
    # The score and the reason that people see.
    score, reason = r"\d", "GTUBE"
    # Further sections of Lazaret's configuration.
    domains = '[domains."example.org"]\n[domains."example.net"]\n'
    files = ()

    def start(self, home):
        """Starts everything but Lazaret, whose configuration is then in `doors`, `route` and `sinks`; `port` is the mail
        server's."""
        self.home = home
        self.dovecot = self.enter_context(Dovecot())
        self.door = free_port()
        self.build()
        return self

    def build(self):
        raise NotImplementedError

    @classmethod
    def lacks(cls):
        """Why it cannot run here; "" if it can."""
        if cls.root and os.geteuid() != 0:
            return f"{cls.root} must be started by root"
        missing = [p for p in ("swaks", "dovecot", "openssl", *cls.programs) if not (shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or os.path.exists(p))]
        return f"{', '.join(missing)} missing" if missing else ""

    def logs(self):
        return "\n".join(thing.logs() if hasattr(thing, "logs") else thing.logged() for thing in (self.server, self.filter, self.dovecot))

    # Pieces that several are made of.

    def with_rspamd(self, lua="", **local):
        self.filter = self.enter_context(filters.Rspamd({"classifier-bayes.conf": filters.BAYES, **{f"{k}.conf": v for k, v in local.items()}}, lua))
        self.sinks = f'[[sink]]\nname = "rspamd"\nlearns = ["ham", "spam"]\nto = "rspamd"\nurl = "http://127.0.0.1:{self.filter.controller}"\n'

    def with_spamd(self):
        self.filter = self.enter_context(filters.Spamd("--allow-tell", config=filters.SA_BAYES))
        self.sinks = f'[[sink]]\nname = "spamassassin"\nlearns = ["ham", "spam"]\nto = "spamassassin"\naddress = "127.0.0.1:{self.filter.port}"\n'

    def with_postfix(self, lines, services=""):
        """A Postfix that delivers to Dovecot."""
        root = postfix.find()
        if root is None:
            raise filters.Missing("the package postfix cannot be had")
        mailbox = f"lmtp:[127.0.0.1]:{self.dovecot.lmtp}"
        lines = f"{IMPATIENT}relay_transport = {mailbox}\nrelay_domains = {DOMAINS}\n{lines}"
        self.server = postfix.Postfix(root, self.dovecot.lmtp, lines, "lmtp unix - - n - - lmtp\n" + services)
        self.enter_context(self.server)
        self.port = self.server.port

    def learned_ham(self):
        return self.filter.learned()[0]

    def stop_filter(self):
        self.filter.process.terminate()
        self.filter.process.wait(30)


class Milter(Setup):
    """Lazaret asks the filter: spam is refused and kept, whatever cannot be kept is put off."""

    kind = ""
    domains = '[domains."example.org"]\n[domains."example.net"]\nreply = "accept"\n'

    def doors_for(self, address):
        self.doors = f'[[milter]]\nlisten = "127.0.0.1:{self.door}"\nfilter = "{self.kind}"\nfilter_address = "127.0.0.1:{address}"\n'

    def start_filter(self):
        if self.kind == "rspamd":
            self.with_rspamd()
        else:
            self.with_spamd()
        self.doors_for(self.filter.port)


class PostfixMilter(Milter):
    def build(self):
        self.start_filter()
        self.with_postfix(snippet("postfix/milter.cf", **{"127.0.0.1:8026": f"127.0.0.1:{self.door}"}))
        # What is released comes back to the same milter, which knows it.
        self.route = self.port


class PostfixRspamd(PostfixMilter):
    name, about = "postfix-rspamd", "Postfix asks Lazaret's milter, which asks rspamd"
    programs, kind, lesson = ("rspamd",), "rspamd", "reject-me"


class PostfixSpamd(PostfixMilter):
    name, about = "postfix-spamd", "Postfix asks Lazaret's milter, which asks spamd"
    programs, kind = ("spamd", "sa-learn"), "spamassassin"


class SendmailRspamd(Milter):
    name, about = "sendmail-rspamd", "Sendmail asks Lazaret's milter, which asks rspamd"
    programs, kind, lesson = ("rspamd", "setpriv", WRAPPER), "rspamd", "reject-me"

    def build(self):
        self.start_filter()
        self.server = self.enter_context(Sendmail(self.door, self.dovecot.lmtp))
        self.port = self.route = self.server.port


class EximSpamd(Setup):
    name, about = "exim-spamd", "Exim asks spamd, refuses (fakereject) and hands over by LMTP"
    programs = ("spamd", "sa-learn", "setpriv", WRAPPER)
    refusal = r"550 .*kept in quarantine, reference (\S+)"
    # Exim 4.96 bounces what has longer lines than SMTP allows, unless its transport is told not to.
    spam = f"{filters.GTUBE}\r\n{'long ' * 250}"
    # It has given its answer by then.
    when_full = when_stopped = "queued"
    split = "one answer"

    def build(self):
        self.with_spamd()
        self.server = self.enter_context(Exim(self.filter.port, self.door, self.dovecot.lmtp))
        self.port, self.route = self.server.port, self.server.release
        self.doors = f'[[lmtp]]\nlisten = "127.0.0.1:{self.door}"\nclass = "incoming"\nverdict = ["spamassassin"]\n'


class Exporter(Setup):
    """The mail server asks rspamd, and rspamd tells Lazaret."""

    # Of GTUBE rspamd tells nobody, and learns nothing.
    spam, subject, reason = "", "reject-me", "LAZARET_REJECT"
    # rspamd answers by itself: the number is the mail server's, and only Lazaret shows it.
    refusal = r"5\d\d "
    split = "one answer"

    def start_filter(self):
        token = "a-password-for-the-exporter"
        with open(f"{self.home}/token", "w") as file:
            file.write(token + "\n")
        rule = snippet("rspamd/metadata_exporter.conf", **{"127.0.0.1:8025": f"127.0.0.1:{self.door}", '"TOKEN"': f'"{token}"'})
        self.with_rspamd(metadata_exporter=rule)
        self.doors = f'[[exporter]]\nlisten = "127.0.0.1:{self.door}"\ntoken_file = "{self.home}/token"\n'


class PostfixExporter(Exporter):
    name, about = "postfix-exporter", "Postfix asks rspamd's milter, whose exporter tells Lazaret"
    programs = ("rspamd",)

    def build(self):
        self.start_filter()
        self.route = free_port()
        self.with_postfix(
            f"smtpd_milters = {{ inet:127.0.0.1:{self.filter.proxy}, default_action=tempfail }}\n",
            f"127.0.0.1:{self.route} inet n - n - - smtpd\n  -o smtpd_milters=\n",
        )


class OpenSmtpdExporter(Exporter):
    name, about = "opensmtpd-exporter", "OpenSMTPD's filter-rspamd asks rspamd, whose exporter tells Lazaret"
    programs, root = ("rspamd", "smtpd", "unshare"), "OpenSMTPD"

    def build(self):
        self.start_filter()
        self.server = self.enter_context(OpenSmtpd(self.filter.port, self.dovecot.lmtp))
        self.port, self.route = self.server.port, self.server.release


class PostfixAmavis(Setup):
    name, about = "postfix-amavis", "Postfix asks amavis before the queue, which refuses and quarantines by LMTP"
    # It refuses a configuration that its own user could change.
    programs, root = ("amavisd", "sa-learn"), "amavis"
    score, split = "100", "each his own"

    def build(self):
        back, release = free_port(), free_port()
        self.filter = self.enter_context(filters.Amavis(self.door, back, snippet("amavis/lazaret.conf", **{":8024": f":{self.door}"})
            + "@spam_kill_level_maps = ({ '.example.net' => 5000, '.' => 5 });\n"))
        self.with_postfix(
            f"smtpd_proxy_filter = [127.0.0.1]:{self.filter.port}\nsmtpd_proxy_options = speed_adjust\n",
            "".join(f"127.0.0.1:{port} inet n - n - - smtpd\n  -o smtpd_proxy_filter=\n" for port in (back, release)),
        )
        self.route = release
        self.doors = f'[[lmtp]]\nlisten = "127.0.0.1:{self.door}"\nclass = "incoming"\nverdict = ["amavis"]\n'
        prefs = f"{self.filter.folder}/prefs"
        self.sinks = f'[[sink]]\nname = "sa-learn"\nlearns = ["ham"]\nto = "command"\ncommand = ["sa-learn", "--ham", "--prefspath={prefs}"]\n'


class PostfixMarked(Setup):
    """A filter that only marks: the sender is told that his message was taken, and it goes elsewhere."""

    programs = ("spamd", "sa-learn", "spamc")
    refusal, split = None, "one answer"
    when_full = when_stopped = "queued"
    transport = "lazaret:[127.0.0.1]:8024"

    def build(self):
        self.with_spamd()
        self.milter = self.enter_context(SpamassMilter(self.filter.port))
        self.route = free_port()
        table = f"{self.home}/marked"
        with open(table, "w") as file:
            file.write(snippet("postfix/marked", **{"lazaret:[127.0.0.1]:8024": self.transport.replace("8024", str(self.door))}))
        services = snippet("postfix/master.cf", **{
            "127.0.0.1:10590": f"127.0.0.1:{self.route}", "user=lazaret": f"user={me()[0] if os.getuid() == 0 else postfix.STRANGER}",
            "/usr/local/bin/lazaret": f"{self.home}/lazaret -c {self.home}/lazaret.toml",
        })
        lines = f"smtpd_milters = {{ inet:127.0.0.1:{self.milter.port}, default_action=tempfail }}\n"
        self.with_postfix(lines + snippet("postfix/main.cf", **{"regexp:/etc/postfix/lazaret-marked": f"regexp:{table}"}), services)
        self.doors = f'[[lmtp]]\nlisten = "127.0.0.1:{self.door}"\nclass = "incoming"\nverdict = ["spamassassin"]\n'

    def stop_filter(self):
        # Without spamd it lets everything pass.
        self.milter.process.terminate()
        self.milter.process.wait(30)


class PostfixTransport(PostfixMarked):
    name, about = "postfix-transport", "spamass-milter marks for Postfix, a header check and LMTP bring it to Lazaret"


class PostfixPipe(PostfixMarked):
    name, about = "postfix-pipe", "spamass-milter marks for Postfix, a header check and pipe(8) bring it to Lazaret"
    transport = "lazaret-pipe:deposit"
    when_stopped = "left"


ALL = [PostfixRspamd, PostfixSpamd, SendmailRspamd, EximSpamd, PostfixExporter, OpenSmtpdExporter, PostfixAmavis, PostfixTransport, PostfixPipe]
