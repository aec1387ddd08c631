#!/usr/bin/python3
"""SEARCH, SORT and THREAD beside Dovecot on the same mail: both are asked some hundred questions, and what differs must be
declared in agree.txt.

    tests/clients/agree.py [-v] [MESSAGES]     generated messages, default 1,200; the samples of tests/ come on top

Both servers read the same Maildir in the same order, so sequence numbers mean the same. Needs root and Dovecot.
"""
import bisect
import email.utils
import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from lazaret import BINARY, ROOT, Checks, certificate, need

need("dovecot")
if os.geteuid() != 0:
    print("skipped: Dovecot is started as root", flush=True)
    sys.exit(77)
sys.path.insert(0, os.path.join(ROOT, "scripts/bench"))
import spamgen  # noqa: E402

VERBOSE = "-v" in sys.argv
NUMBERS = [int(a.replace(",", "")) for a in sys.argv[1:] if a[0].isdigit()]
COUNT = NUMBERS[0] if NUMBERS else 1_200
PORTS = "13"
FIRST = 1_700_000_000
SAMPLES = ["tests/mail/demo", "tests/mail/odd", "tests/golden/messages"]


def conversations(count):
    """Messages that answer each other, in every way that clients have."""
    r = random.Random(5)
    subjects = ["Meeting", "Offer for you", "Überraschung", "[list] News", "Invoice 7", "привет мир", "a", ""]
    ids, made = [], []
    for number in range(count):
        lines = [f"From: {r.choice(['Ann', '=?utf-8?q?=C3=84nn?=', 'bob', 'Zoe (z)'])} <p{r.randrange(9)}@{r.choice('xyz')}.test>"]
        subject, parents = r.choice(subjects), []
        if ids and r.random() < 0.75:
            known, parents, subject = r.choice(ids[-40:])
            parents = [*parents, known]
            prefix = ["Re: ", "RE: Re: ", "Fwd: ", "Re[2]: ", "AW: ", "", "Re: [list] "]
            subject = r.choice(prefix) + subject + r.choice(["", "", "", " (fwd)"])
        elif r.random() < 0.1:
            subject = f"[Fwd: {subject}]"
        own = f"<c{number}.{r.randrange(1 << 30)}@x.test>"
        if ids and r.random() < 0.03:
            own = r.choice(ids)[0]  # a duplicate
        ids.append((own, parents, subject))
        kind = r.random()
        if parents and kind < 0.6:
            lines.append("References: " + "\r\n ".join(parents[-r.randrange(1, 9):]))
            lines.append(f"In-Reply-To: {parents[-1]}")
        elif parents and kind < 0.8:
            lines.append(f"In-Reply-To: message of {parents[-1]} (yesterday)")
        elif parents and kind < 0.85:
            lines.append("References: garbage <no-id> " + parents[-1].replace("@x", '"@x').replace("<", '<"'))
        lines += [f"Message-ID: {own}"] if r.random() < 0.95 else []
        lines += [f"Subject: {word(subject)}"] if r.random() < 0.97 else []
        moment = time.gmtime(FIRST + r.randrange(200 * 86_400))
        if r.random() < 0.95:
            zone = r.choice(["+0000", "-0800", "+0530", "GMT", "EST", ""])
            lines.append("Date: " + time.strftime("%a, %d %b %Y %H:%M:%S ", moment) + zone)
        lines.append("To: " + r.choice(["Al <al@x.test>", "group: g1@x.test, g2@x.test;", "undisclosed-recipients:;", '"Q, R" <q@x.test>']))
        made.append(("\r\n".join(lines) + f"\r\n\r\nconversation {number}\r\n").encode())
    return made


def word(text):
    return text if text.isascii() else f"=?utf-8?q?{''.join(f'={b:02X}' for b in text.encode())}?="


def corpus(folder):
    """The Maildir; the name of each message with what it is in agree.txt, in order."""
    for sub in ("cur", "new", "tmp"):
        os.makedirs(f"{folder}/{sub}")
    mail = [(f"gen-{i}", spamgen.message(i)) for i in range(COUNT)]
    # Dovecot takes the second 0 for no date at all, and then sorts by INTERNALDATE; that would hide other differences
    mail = [(name, m.replace(b"01 Jan 1970 00:00:00 GMT", b"01 Jan 1970 00:00:01 GMT")) for name, m in mail]
    mail += [(f"talk-{i}", m) for i, m in enumerate(conversations(400))]
    for place in SAMPLES:
        for name in sorted(os.listdir(f"{ROOT}/{place}")):
            with open(f"{ROOT}/{place}/{name}", "rb") as file:
                # a zone behind the time without a space: Dovecot cannot read it, and one date moves whole threads
                mail.append((name, file.read().replace(b"00:01+0000", b"00:01 +0000")))
    random.Random(3).shuffle(mail)
    for number, (name, message) in enumerate(mail):
        message = re.sub(rb"\r?\n", b"\r\n", message)
        when = FIRST + number * 20_000
        flags = spamgen.flags(number)
        path = f"{folder}/cur/{when}.M0P{number}Q1.agree,S={len(message)},W={len(message)}:2,{''.join(sorted(flags))}"
        with open(path, "wb") as file:
            file.write(message)
        os.utime(path, (when, when))
    return {name: kinds(message) for name, message in mail}


def kinds(message):
    """What messages have that two servers may read differently."""
    message = re.sub(rb"\r?\n", b"\r\n", message)
    head, _, body = message.partition(b"\r\n\r\n")
    date = re.search(rb"(?im)^date[ \t]*:(.*(?:\r\n[ \t].*)*)", head)
    addresses = re.findall(rb"(?im)^(?:from|to|cc|bcc)[ \t]*:(.*(?:\r\n[ \t].*)*)", head)
    plain = rb'\s*(("[^"]*"|[\w .=?-]+)\s*)?<?[\w.+-]+@[\w.-]+>?\s*'
    found = {
        "@date": not date or not email.utils.parsedate_tz(date[1].decode("latin-1")),
        "@address": not all(re.fullmatch(plain, a) for field in addresses for a in re.split(rb",(?![^\"]*\"\s*<)", field)),
        "@8bit": re.search(rb"[\x80-\xff]", head) is not None,
        "@8bit-text": re.search(rb"[\x80-\xff]", body) is not None or b"us-ascii" in message,
        "@html": b"text/html" in message.lower(),
    }
    return {kind for kind, it_is in found.items() if it_is}


class Imap:
    def __init__(self, port, user, folder):
        deadline = time.monotonic() + 60
        while True:
            try:
                self.file = socket.create_connection(("127.0.0.1", port), 120).makefile("rwb")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.file.readline()
        self.ask(f"LOGIN {user} pass")
        self.ask(f"EXAMINE {folder}")

    def ask(self, command):
        """The untagged lines and the tagged one, without the tag."""
        data = command.encode() if isinstance(command, str) else command
        self.file.write(b"a " + data + b"\r\n")
        self.file.flush()
        lines = []
        while not (line := self.file.readline()).startswith(b"a "):
            if not line:
                raise RuntimeError(f"the connection was closed after {command!r}")
            while (literal := re.search(rb"\{(\d+)\}\r\n$", line)) is not None:
                line += self.file.read(int(literal[1])) + self.file.readline()
            if not line.startswith((b"* OK", b"* FLAGS")):
                lines.append(line.strip())
        return lines, line[2:].strip()


def literal(text):
    data = text.encode()
    return b"{%d+}\r\n%s" % (len(data), data)


def keys(r):
    """Search keys of all kinds."""
    flags = "ALL ANSWERED DELETED DRAFT FLAGGED SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN".split()
    yield from flags
    yield from ["KEYWORD $Junk", "UNKEYWORD $Junk", "1:100", "5,9,100:90,*", "UID 1:50", "NOT 1:1500", "SEEN FLAGGED"]
    for size in (0, 500, 5_000, 20_000, 200_000):
        yield f"LARGER {size}"
        yield f"SMALLER {size}"
    for key, day in itertools.product(
        ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"],
        ["1-Jan-1970", "14-Nov-2023", "20-Dec-2023", "1-Jan-2025", "15-Oct-2025", "1-Jan-2026", "13-Dec-2099"],
    ):
        yield f"{key} {day}"
    words = ["a", "re:", "Rechnung", "offer", "LIST", "müller", "ÜBER", "счёт", "ПРИВЕТ", "请", "無料", "x", "user1@", "lottery", "bob", "é", "crème"]
    for field, text in itertools.product(["SUBJECT", "FROM", "TO", "CC", "BCC"], words):
        yield f"{field} ".encode() + literal(text)
    for field in ["Message-ID", "Received", "X-Priority", "List-Unsubscribe", "Content-Type", "X-Nothing", "References"]:
        yield f'HEADER {field} ""'
    for field, text in [("Received", "Postfix"), ("Message-ID", "@promo"), ("Content-Type", "html"), ("X-Mailer", "outlook express"), ("DKIM-Signature", "rsa"), ("Date", "Jan")]:
        yield f'HEADER {field} "{text}"'
    bodies = ["zyzzyva", "quokkatail", "conversation 7", "unsubscribe", "überfällig", "GRÖSSER", "фальш", "бесплатно", "無料", "发票", "crème", "guaranteed satisfaction", "Content-Type", "attachment", "mailbox", "http://", "color:#", "nosuchword"]
    for key, text in itertools.product(["BODY", "TEXT"], bodies):
        yield f"{key} ".encode() + literal(text)
    simple = flags + ["LARGER 8000", "SINCE 1-Jan-2025", "SENTSINCE 1-Nov-2025", "SUBJECT a", "FROM e", "1:900", 'HEADER X-Mailer ""']
    for _ in range(60):
        a, b, c = (r.choice(simple) for _ in range(3))
        yield r.choice([f"{a} {b}", f"OR {a} {b}", f"NOT {a} {b}", f"OR ({a} {b}) {c}", f"NOT (OR {a} (NOT {b} {c}))", f"({a}) {b} OR {b} {c}"])


def commands():
    r = random.Random(11)
    for key in keys(r):
        key = key if isinstance(key, bytes) else key.encode()
        yield b"SEARCH CHARSET UTF-8 " + key
    criteria = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]
    for one in criteria:
        yield f"SORT ({one}) UTF-8 ALL".encode()
        yield f"UID SORT (REVERSE {one}) UTF-8 ALL".encode()
    for _ in range(40):
        some = [r.choice(["", "REVERSE "]) + c for c in r.sample(criteria, r.randrange(2, 4))]
        yield f"SORT ({' '.join(some)}) UTF-8 {r.choice(['ALL', 'UNSEEN', 'FLAGGED', 'LARGER 9000', 'SUBJECT a'])}".encode()
    for algorithm in ["ORDEREDSUBJECT", "REFERENCES", "REFS"]:
        for key in ["ALL", "UNSEEN", "FLAGGED", "SUBJECT a", "1:300", "NOT FROM p", "SMALLER 3000", "DRAFT"]:
            yield f"THREAD {algorithm} UTF-8 {key}".encode()
            yield f"UID THREAD {algorithm} UTF-8 {key}".encode()
    for what, key in itertools.product(
        ["", "MIN", "MAX", "COUNT", "ALL", "MIN MAX", "MIN MAX COUNT", "COUNT ALL", "PARTIAL 3:9", "PARTIAL 9000:9001", "SAVE COUNT"],
        ["ALL", "UNSEEN", "DRAFT", "FLAGGED 1:300", "LARGER 30000"],
    ):
        yield f"SEARCH RETURN ({what}) {key}".encode()
        yield f"UID SEARCH RETURN ({what}) {key}".encode()
        if "PARTIAL" not in what:
            yield f"SORT RETURN ({what}) (REVERSE SIZE) UTF-8 {key}".encode()


def numbers(text):
    """What a set or a list of numbers names, in order."""
    found = []
    for part in text.replace(b",", b" ").split():
        low, _, high = part.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


def meaning(command, lines, end):
    """An answer in a form in which two can be compared."""
    if not end.startswith(b"OK"):
        return end.split()[0]
    if len(lines) > 1:
        return lines
    line = lines[0] if lines else b""
    if line.startswith((b"* SEARCH", b"* SORT")):
        found = numbers(line.split(b" ", 2)[2] if line.count(b" ") > 1 else b"")
        return sorted(found) if b"SEARCH" in line else found
    if line.startswith(b"* ESEARCH"):
        items = dict(re.findall(rb" ([A-Z]+) (\([^)]*\)|[^ ()]+)", line.partition(b")")[2].replace(b" UID", b"", 1)))
        found = {k: numbers(v) if re.fullmatch(rb"[\d,:]+", v) else v for k, v in items.items() if k != b"PARTIAL"}
        for part in [items[b"PARTIAL"]] if b"PARTIAL" in items else []:
            asked, _, got = part.strip(b"()").partition(b" ")
            found[b"PARTIAL"] = (asked, got if got == b"NIL" else numbers(got))
        return found
    return line


def flat(line):
    """THREAD's answer as the parent of each message (0: none that is there), and the messages in order."""
    parents, order, stack, last = {}, [], [], None
    for token in re.findall(rb"[()]|\d+", line[len(b"* THREAD"):]):
        if token == b"(":
            stack.append(last)
        elif token == b")":
            last = stack.pop()
        else:
            parents[int(token)] = last or 0
            order.append(int(token))
            last = int(token)
    return parents, order


def without(answer, numbers):
    """The answer as if these messages did not count."""
    if isinstance(answer, list):
        return [n for n in answer if n not in numbers]
    parents, order = flat(answer)
    kept = [n for n in order if n not in numbers]
    return kept, {n: parents[n] for n in kept if parents[n] not in numbers}


def disagreeing(ours, theirs):
    """Messages about which two answers disagree, as few as explain it; `None`: it is something else."""
    if type(ours) is not type(theirs):
        return None
    if isinstance(ours, bytes) and ours.startswith(b"* THREAD"):
        (p1, o1), (p2, o2) = flat(ours), flat(theirs)
        moved = {n for n in p1.keys() | p2.keys() if p1.get(n) != p2.get(n)}
        return moved or set(out_of_order(o1, o2))
    if isinstance(ours, list) and all(isinstance(n, int) for n in ours + theirs):
        if set(ours) != set(theirs):
            return set(ours) ^ set(theirs)
        return set(out_of_order(ours, theirs))
    return None


def out_of_order(one, other):
    """Those that do not belong to the longest part that both have in the same order."""
    place = {n: i for i, n in enumerate(other)}
    ends, back, at = [], {}, []
    for n in one:
        i = bisect.bisect_left(ends, place[n])
        back[n] = at[i - 1] if i else None
        ends[i:i + 1], at[i:i + 1] = [place[n]], [n]
    kept, n = set(), at[-1] if at else None
    while n is not None:
        kept.add(n)
        n = back[n]
    return [n for n in one if n not in kept]


def declared():
    """Pattern of the command, names or kinds of messages, reason."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "agree.txt")) as file:
        lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    return [(re.compile(pattern.strip()), names.split(), reason.strip()) for pattern, names, reason in (line.split(" | ", 2) for line in lines)]


check = Checks()
place = tempfile.mkdtemp(prefix="lazaret-agree-")
os.chmod(place, 0o755)
mail = corpus(f"{place}/mail")
names = list(mail)
script = [f"{ROOT}/scripts/bench/dovecot.sh"]
home = f"{place}/lazaret"
process = None
try:
    certificate(f"{home}/tls")
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f'data = "{home}/data"\nusers = "{home}/users"\n[page]\ntls = []\n[imap]\ntls = []\nstarttls = ["127.0.0.1:{PORTS}144"]\n'
            'plain_login_on_loopback = true\n[domains."example.org"]\n[retention]\nincoming = "none"\n'
        )
    user = [BINARY, "-c", f"{home}/lazaret.toml", "user", "add", "--scheme", "SHA512-CRYPT", "big@example.org"]
    subprocess.run(user, input="pass\n", text=True, check=True, stdout=subprocess.DEVNULL)
    os.makedirs(f"{home}/data/mail/example.org/big")
    shutil.copytree(f"{place}/mail", f"{home}/data/mail/example.org/big/Caught")
    caught = f"{home}/data/mail/example.org/big/Caught/cur"
    for name in os.listdir(caught):  # the UID is believed, so the order is Dovecot's, which is that of the times
        number = int(name.partition("P")[2].partition("Q")[0])
        os.rename(f"{caught}/{name}", f"{caught}/{name.replace(':2,', f',U={number + 1}:2,')}")
    log = open(f"{home}/log", "w")
    process = subprocess.Popen([BINARY, "-c", f"{home}/lazaret.toml", "serve"], stderr=log, stdout=log)
    environment = {**os.environ, "PORTS": PORTS}
    subprocess.run([*script, "fill", f"{place}/dovecot", "big", f"{place}/mail"], check=True)
    subprocess.run([*script, "start", f"{place}/dovecot"], check=True, env=environment, stdout=subprocess.DEVNULL)
    ours, theirs = Imap(int(f"{PORTS}144"), "big@example.org", "Caught"), Imap(int(f"{PORTS}143"), "big", "INBOX")
    sizes = [re.findall(rb"RFC822.SIZE (\d+)", b" ".join(server.ask("FETCH 1:* RFC822.SIZE")[0])) for server in (ours, theirs)]
    check("both have all messages, in the same order", sizes[0] == sizes[1] and len(sizes[0]) == len(names), f"{len(sizes[0])} {len(sizes[1])}")
    rules, used, count, spent = declared(), set(), 0, [0.0, 0.0]
    for command in commands():
        count += 1
        answers = []
        for number, server in enumerate((ours, theirs)):
            began = time.monotonic()
            answers.append(meaning(command, *server.ask(command)))
            spent[number] += time.monotonic() - began
        if answers[0] == answers[1]:
            check.passed += 1
            continue
        about = disagreeing(*answers)
        who = sorted(names[n - 1] for n in about) if about else []
        shown = command.decode("utf-8", "replace").replace("\r\n", " ")
        fitting = [i for i, (pattern, _, _) in enumerate(rules) if pattern.search(shown)]
        allowed = {name for i in fitting for name in rules[i][1]}
        unexplained = [name for name in who if not (mail[name] | {name}) & allowed]
        spared = {n for n, name in enumerate(names, 1) if (mail[name] | {name}) & allowed}
        # of two that stand in another order, either may be the reason
        held = who and (not unexplained or without(answers[0], spared) == without(answers[1], spared))
        used.update(fitting if held else [])
        detail = f"{len(unexplained)} of {len(who)} messages: {' '.join(unexplained[:12])}" if who else f"{str(answers[0])[:300]} / {str(answers[1])[:300]}"
        check(shown, held, detail)
        if VERBOSE and isinstance(answers[0], list) and about:
            for n in sorted(about)[:4]:
                print(f"   {names[n - 1]} is message {n}: ours {n in answers[0]}, theirs {n in answers[1]}")
    for number, (pattern, _, reason) in enumerate(rules):
        check(f"the declared difference is one: {pattern.pattern}: {reason}", number in used)
    print(f"{count} commands on {len(names)} messages; Lazaret took {spent[0]:.1f} s, Dovecot {spent[1]:.1f} s", flush=True)
finally:
    if process:
        process.terminate()
        process.wait(30)
    subprocess.run([*script, "stop", f"{place}/dovecot"], check=False)
    if "--keep" not in sys.argv:
        shutil.rmtree(place)
check.finish()
