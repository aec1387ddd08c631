#!/usr/bin/python3
"""The exported lists in the real rspamd, with etc/rspamd as it is installed: signed and forged messages through /checkv2.

DNS is rspamd's own table of answers, so nothing leaves the machine."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from lazaret import BINARY, ROOT, TODAY, Checks, free_port, need, wait_for

need("rspamd", "rspamadm", "openssl")
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import dkim
except ImportError:
    need("python3-dkim")

check = Checks()
ALICE, BOB = "alice@example.org", "bob@example.org"
SENDER_IP = "198.51.100.7"
# Domains that belong together have names below .com and .edu: rspamd takes a name below a top-level domain that its list does not
# have, such as .example, for an organisation of its own.
# What looks into the network or needs Redis has nothing to do with lists.
OFF = ["rbl", "asn", "phishing", "mid", "hfilter", "mx_check", "url_redirector", "reputation", "fuzzy_check", "greylist", "ratelimit",
       "replies", "history_redis", "neural", "elastic", "bayes_expiry", "multimap", "maillist", "arc", "dkim_signing", "milter_headers",
       "rspamd_update", "dmarc_report", "mime_types", "once_received", "bimi", "clickhouse", "p0f", "spamtrap", "whitelist"]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


class Lazaret:
    """The configuration of a site, and commands on its lists; no server runs."""

    def __init__(self, folder):
        self.lists, self.config = os.path.join(folder, "lists"), os.path.join(folder, "lazaret.toml")
        os.makedirs(self.lists)
        os.makedirs(os.path.join(folder, "data"), 0o700)
        write(self.config, f"""data = "{folder}/data"
users = "{folder}/users"
[page]
tls = []
[imap]
tls = []
starttls = []
[lists]
export = "{self.lists}"
export_mode = "0644"
[domains."example.org"]
aliases = ["example.net"]
[domains."example.org".addresses]
info = "alice"
""")

    def __call__(self, *words):
        done = subprocess.run([BINARY, "--config", self.config, *words], capture_output=True, text=True)
        check(" ".join(words), done.returncode == 0, done.stdout + done.stderr)


class Rspamd:
    """rspamd with its own configuration, and ours as a site's."""

    def __init__(self, folder, lists, records):
        self.folder, self.port = folder, free_port()
        local = os.path.join(folder, "local")
        for name in OFF:
            write(f"{local}/local.d/{name}.conf", "enabled = false;\n")
        answers = "".join(f'{{ name = "{name}"; type = txt; replies = ["{text}"]; }},\n' for name, text in records.items())
        write(f"{local}/local.d/options.inc", f"""filters = "chartable,dkim,regexp";
local_addrs = [];
map_watch_interval = 1s;
dns {{ nameserver = "127.0.0.1:1"; timeout = 0.1s; retransmits = 1; fake_records = [ {answers} ]; }}
""")
        write(f"{local}/local.d/worker-normal.inc", f'bind_socket = "127.0.0.1:{self.port}";\ncount = 1;\n')
        for worker in ("controller", "proxy"):
            write(f"{local}/local.d/worker-{worker}.inc", "enabled = false;\n")
        write(f"{local}/local.d/dmarc.conf", "")
        for source in ("lazaret.lua", "lazaret.conf"):
            shutil.copy(os.path.join(ROOT, "etc/rspamd", source), f"{local}/{source}")
        with open(f"{local}/lazaret.conf") as file:
            settings = file.read()
        write(f"{local}/lazaret.conf", settings.replace("/var/lib/lazaret-lists", lists))
        write(f"{local}/rspamd.local.lua", 'dofile(rspamd_paths["LOCAL_CONFDIR"] .. "/lazaret.lua")\n')
        write(f"{local}/rspamd.conf.local", '.include "$LOCAL_CONFDIR/lazaret.conf"\n')
        variables = {"LOCAL_CONFDIR": local, "DBDIR": f"{folder}/db", "RUNDIR": f"{folder}/db", "LOGDIR": f"{folder}/log"}
        for place in ("db", "log"):
            os.makedirs(os.path.join(folder, place))
        self.options = ["-c", "/etc/rspamd/rspamd.conf"]
        self.variables = [f"--var={name}={value}" for name, value in variables.items()]
        self.process = None

    def test(self):
        """rspamadm's own look at the configuration."""
        done = subprocess.run(["rspamadm", *self.variables, "configtest", *self.options], capture_output=True, text=True)
        return done.returncode == 0 and "syntax OK" in done.stdout, done.stdout + done.stderr

    def start(self):
        command = ["rspamd", "-f", "-i", *self.options, *self.variables]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return wait_for(self.is_up, 60)

    def is_up(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2).status == 200
        except OSError:
            return False

    def log(self):
        path = f"{self.folder}/log/rspamd.log"
        return open(path, errors="replace").read()[-3000:] if os.path.exists(path) else ""

    def symbols(self, message, recipients, sender="bounce@elsewhere.example", address=SENDER_IP):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/checkv2", data=message)
        for name, value in (("From", sender), ("IP", address), ("Helo", "mail.elsewhere.example"), ("Rcpt", ", ".join(recipients))):
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)["symbols"]

    def says(self, *arguments, **options):
        found = self.symbols(*arguments, **options)
        return [word for word in ("allowed", "blocked") if f"LAZARET_{word.upper()}" in found]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)


def letter(author, more=""):
    return (
        f"From: Somebody <{author}>\r\n{more}To: {ALICE}\r\nSubject: a letter\r\nMessage-ID: <1@elsewhere.example>\r\n"
        f"Date: {TODAY}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHow are you?\r\n"
    ).encode()


def signed(message, domain, key):
    return dkim.sign(message, b"s", domain.encode(), key, include_headers=[b"from", b"to", b"subject"]) + message


def scans(rspamd, lazaret, key):
    def allowed(what, wanted, *arguments, **options):
        found = rspamd.says(*arguments, **options)
        check(what, found == (["allowed"] if wanted else []), found)

    friend = signed(letter("Friend@partner.example"), "partner.example", key)
    allowed("a proved sender is allowed", True, friend, [ALICE])
    allowed("for whoever allows him only", False, friend, [BOB])
    allowed("not when only one of two recipients does", False, friend, [ALICE, BOB])
    allowed("with a tag, under another name of the domain", True, friend, ["Alice+shop@Example.NET"])
    allowed("under an alias", True, friend, ["info@example.org"])
    allowed("not in another domain", False, friend, ["alice@elsewhere.example"])
    allowed("not without a signature", False, letter("friend@partner.example"), [ALICE])
    allowed("not another address there", False, signed(letter("foe@partner.example"), "partner.example", key), [ALICE])
    allowed("by a signature of a domain below", True, signed(letter("friend@example.com"), "mail.example.com", key), [ALICE])
    forged = signed(letter("friend@partner.example"), "evil.example", key)
    allowed("not by a signature of somebody else", False, forged, [ALICE])
    check("though that is good", "R_DKIM_ALLOW" in rspamd.symbols(forged, [ALICE]))
    allowed("not after a change", False, friend.replace(b"How are", b"Who are"), [ALICE])
    twice = signed(letter("friend@partner.example", "From: boss@evil.example\r\n"), "partner.example", key)
    allowed("not of two authors", False, twice, [ALICE])
    allowed("a name of somebody else below a public suffix proves nothing", False,
            signed(letter("friend@alice.github.io"), "mallory.github.io", key), [ALICE])
    by_spf = letter("list@news.example.edu")
    allowed("SPF proves, too, for a domain and all below it", True, by_spf, [ALICE], sender="bounce@em.example.edu")
    allowed("not from elsewhere", False, by_spf, [ALICE], sender="bounce@em.example.edu", address="203.0.113.9")
    allowed("not by another domain's SPF", False, by_spf, [ALICE], sender="bounce@evil.example")
    allowed("a domain's list is for all its recipients", True, signed(letter("a@team.example"), "team.example", key), [ALICE, BOB])

    def blocked(what, wanted, *arguments):
        found = rspamd.says(*arguments)
        check(what, found == (["blocked"] if wanted else []), found)

    blocked("who is blocked is so without proof", True, letter("x@news.spam.example"), [ALICE, BOB])
    blocked("and with it, whatever a recipient allows", True, signed(letter("pal@spam.example"), "spam.example", key), [ALICE])
    good = letter("good@spam.example")
    allowed("the narrower entry of one list counts", True, signed(good, "spam.example", key), [BOB])
    blocked("but not without proof", True, good, [BOB])
    blocked("two authors hide nobody", True, letter("a@b.example", "From: x@spam.example\r\n"), [ALICE])
    blocked("one recipient's block is not another's", False, letter("bore@bores.example"), [ALICE, BOB])
    blocked("but his own", True, letter("bore@bores.example"), [BOB])
    blocked("nobody who is in no list", False, letter("x@stranger.example"), [ALICE])

    score = rspamd.symbols(friend, [ALICE])["LAZARET_ALLOWED"]
    check("it has the score of the configuration and says what proves it", score["score"] == -30 and score["options"] == ["dkim partner.example"], score)
    lazaret("unlist", "--for", ALICE, "friend@partner.example")
    check("a change is known soon", wait_for(lambda: rspamd.says(friend, [ALICE]) == [], 30))


with tempfile.TemporaryDirectory(prefix="lazaret-rspamd-") as folder:
    pem = os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", pem, "2048"], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["openssl", "rsa", "-in", pem, "-pubout"], check=True, capture_output=True, text=True).stdout
    record = "v=DKIM1; k=rsa; p=" + "".join(line for line in public.splitlines() if "-" not in line)
    with open(pem, "rb") as file:
        key = file.read()
    domains = ["partner.example", "mail.example.com", "evil.example", "mallory.github.io", "team.example", "spam.example"]
    records = {f"s._domainkey.{domain}": record for domain in domains}
    for domain in ("em.example.edu", "evil.example"):
        records[domain] = f"v=spf1 ip4:{SENDER_IP} -all"
    lazaret = Lazaret(folder)
    lazaret("allow", "--for", ALICE, "friend@partner.example", "example.edu", "friend@example.com", "friend@alice.github.io", "pal@spam.example")
    lazaret("allow", "--for", "example.org", "team.example")
    lazaret("block", "spam.example")
    lazaret("allow", "good@spam.example")
    lazaret("block", "--for", BOB, "bores.example")
    rspamd = Rspamd(folder, lazaret.lists, records)
    try:
        good, said = rspamd.test()
        check("rspamadm configtest", good, said)
        if check("rspamd starts", rspamd.start(), rspamd.log()):
            with check.part("scans"):
                scans(rspamd, lazaret, key)
        if check.failed:
            print(rspamd.log())
    finally:
        rspamd.stop()
check.finish()
