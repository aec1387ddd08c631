#!/usr/bin/python3
"""The milter door behind a real Postfix, with real filters: rspamd and SpamAssassin asked by Lazaret, and rspamd's own
milter before it. What is refused is kept first, byte for byte; what cannot be kept or judged is put off, and kept once
when it comes again. A peer in Python shows what Postfix cannot: slow filters, hostile packets.
"""
import glob
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

import postfix
from filters import GTUBE, Rspamd, Spamd, mail
from lazaret import BINARY, ROOT, Checks, Server, free_port, marked, need, wait_for

need("rspamd", "spamd")
UNPACKED = postfix.need()
check = Checks()
home = tempfile.mkdtemp(prefix="milter-")
DATA = f"{home}/data"
PORTS = {name: free_port() for name in ("rspamd", "spamd", "headers", "slow", "accepts")}
PERCENT = """
rspamd_config:register_symbol{ name = 'LAZARET_PERCENT', type = 'prefilter', callback = function(task)
  if (task:get_subject() or ''):find('percent-me', 1, true) then task:set_pre_result('reject', '100% spam, %s') end
end }
"""


class Sink(threading.Thread):
    """A mail server that takes everything; `mails` are envelope recipients and bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mails = []
        self.start()

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rwb") as file:

            def say(text):
                file.write(text + b"\r\n")
                file.flush()

            say(b"220 sink")
            recipients = []
            for line in file:
                word = line[:4].upper()
                if word == b"RCPT":
                    recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                elif word == b"DATA":
                    say(b"354 go")
                    message = b""
                    while not message.endswith(b"\r\n.\r\n") and message != b".\r\n":
                        message += file.readline()
                    message = re.sub(rb"(^|\r\n)\.", rb"\1", message[:-3])
                    self.mails.append((recipients, message))
                    recipients = []
                elif word == b"QUIT":
                    say(b"221 bye")
                    return
                elif word == b"EHLO":
                    file.write(b"250-sink\r\n250-8BITMIME\r\n")
                say(b"250 ok")

    def having(self, mark):
        return [message for _, message in list(self.mails) if mark.encode() in message]


class Refused(Exception):
    """The code and the text of the mail server's answer, and at which command."""

    def __init__(self, code, text, command):
        super().__init__(f"{code} {text} to {command}")
        self.code, self.text, self.command = code, text.decode(), command


def send(message, recipients=("alice@example.org",), sender="sender@spam.example", port=None, client="ADDR=198.51.100.7 NAME=client.spam.example"):
    """Sends bytes as they are; the recipients that were put off with 452. Refusals are raised."""
    with smtplib.SMTP("127.0.0.1", port or server.port, timeout=120) as smtp:
        smtp.ehlo("client.spam.example")
        if smtp.docmd("XCLIENT", client)[0] != 220:
            raise RuntimeError("Postfix does not take XCLIENT")
        smtp.ehlo("client.spam.example")
        answer = smtp.mail(sender)
        if answer[0] != 250:
            raise Refused(*answer, "MAIL")
        left = []
        for recipient in recipients:
            answer = smtp.docmd("RCPT", f"TO:<{recipient}>")
            if answer[0] == 452:
                left.append((recipient, answer[1].decode()))
            elif answer[0] != 250:
                raise Refused(*answer, "RCPT")
        if smtp.docmd("DATA")[0] != 354:
            raise RuntimeError("no DATA")
        smtp.send(re.sub(rb"(^|\r\n)\.", rb"\1..", message) + b".\r\n")
        answer = smtp.getreply()
        if answer[0] != 250:
            raise Refused(*answer, "DATA")
        return left


def refused(*arguments, **more):
    """The refusal that sending meets; None when it is accepted."""
    try:
        send(*arguments, **more)
    except Refused as answer:
        return answer
    return None


def kept(recipient="alice@example.org", folder="Caught"):
    """Trace and message of all that is kept there."""
    local, domain = recipient.split("@")
    found = []
    for path in glob.glob(f"{DATA}/mail/{domain}/{local}/{folder}/*/*"):
        length = int(re.search(r",T=(\d+)", path).group(1))
        with open(path, "rb") as file:
            whole = file.read()
        found.append((whole[:length].decode(), whole[length:], os.path.basename(path).split(",")[0]))
    return found


def having(mark, **where):
    return [entry for entry in kept(**where) if mark.encode() in entry[1]]


def difference(message, entries):
    """Where the kept one differs."""
    for _, other, _ in entries:
        at = next((i for i, (a, b) in enumerate(zip(message, other)) if a != b), min(len(message), len(other)))
        return at, message[max(at - 30, 0) : at + 30], other[max(at - 30, 0) : at + 30]
    return "it is not there"


def reference(answer):
    return (re.findall(r"reference (\S+?)(?::|$)", answer.text) or [""])[0]


def configure(rspamd, spamd, slow, relay):
    milter = "".join(
        f'[[milter]]\nlisten = "127.0.0.1:{PORTS[name]}"\n{lines}\n'
        for name, lines in {
            "rspamd": f'filter = "rspamd"\nfilter_address = "127.0.0.1:{rspamd}"\nunsure = [5, 15.5]',
            "spamd": f'filter = "spamassassin"\nfilter_address = "127.0.0.1:{spamd}"',
            "headers": 'filter = "headers"\nverdict = ["rspamd"]\nreject_from = 8',
            "slow": f'filter = "rspamd"\nfilter_address = "127.0.0.1:{slow}"\nfilter_time_limit = "25 s"',
            "accepts": f'filter = "rspamd"\nfilter_address = "127.0.0.1:{free_port()}"\nwhen_filter_fails = "accept"',
        }.items()
    )
    with open(f"{home}/users", "w"):
        pass
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f"""data = "{DATA}"
users = "{home}/users"
host_name = "mx.example.org"
lmtp = []
{milter}
[imap]
tls = []
starttls = []
[page]
tls = []
[domains."example.org"]
[domains."example.net"]
reply = "accept"
[[route]]
host = "127.0.0.1"
port = {relay}
[limits]
release_delay = "none"
"""
        )


def lazaret():
    running = Server("serve", "--config", f"{home}/lazaret.toml", wait_json=False)
    if not wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", PORTS["rspamd"])) == 0, 60):
        raise SystemExit(f"lazaret does not start:\n{running.logged()}")
    return running


def slow_rspamd(seconds):
    """Says "reject" after a while; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(peer):
        with peer:
            peer.recv(65536)
            time.sleep(seconds)
            body = b'{"action":"reject","score":20,"required_score":15,"symbols":{}}'
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            except OSError:
                pass

    def serve():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Peer:
    """A mail server's side of the protocol, by hand."""

    def __init__(self, port, version=6, actions=0x1FF, steps=0x1FFFFF):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.say(b"O" + b"".join(n.to_bytes(4, "big") for n in (version, actions, steps)))
        self.offer = self.hear()

    def say(self, content):
        self.socket.sendall(len(content).to_bytes(4, "big") + content)

    def hear(self):
        """A packet; b"" when the connection is closed."""
        length = self.exactly(4)
        return self.exactly(int.from_bytes(length, "big")) if length else b""

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def ask(self, content):
        self.say(content)
        return self.hear()

    def message(self, recipient=b"alice@example.org", fields=((b"Subject", b" slow"),), body=b"body\r\n"):
        """Says everything up to the end of a message."""
        self.say(b"M<sender@spam.example>\0")
        check("a recipient is taken", self.ask(b"R<%s>\0" % recipient) == b"c")
        for name, value in fields:
            self.say(b"L" + name + b"\0" + value + b"\0")
        self.say(b"B" + body)
        self.say(b"E")


# Header fields that are easily changed on the way: folded, without a space, with a tab, empty, long, 8 bit.
ODD = (
    b"Received: from a (b [192.0.2.9])\r\n\tby c with SMTP id odd;\r\n Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Sender <sender@spam.example>\r\n"
    b"To:alice@example.org\r\nSubject:   reject-me odd\r\nX-Tab:\ttabbed\t \r\nX-Empty:\r\nX-Blank: \r\nX-Folded: one\r\n two\r\n\tthree  \r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nX-Long: " + b"l" * 900 + b"\r\nX-Eight: Gr\xc3\xbc\xc3\x9fe \xff\r\nMessage-ID: <odd@spam.example>\r\n\r\n"
    b".\r\n..dots\r\n\ttabs \r\nFrom the start\r\nGr\xc3\xbc\xc3\x9fe \xff\r\n\r\n\r\n"
)


def with_rspamd():
    with check.part("refused, and kept byte for byte"):
        for mark, message in {
            "gtube": mail("gtube", GTUBE, mark="gtube"),
            "odd": ODD,
            "large": mail("reject-me large", ("x" * 700 + "\r\n") * 3000, mark="large"),
        }.items():
            answer = refused(message)
            if not check(f"{mark} is refused with 550 5.7.1", answer and answer.code == 550 and answer.text.startswith("5.7.1 "), answer):
                continue
            found = [entry for entry in kept() if entry[1] == message]
            if check(f"{mark} is kept byte for byte", len(found) == 1, difference(message, having(f"{mark}@spam"))):
                trace, _, name = found[0]
                check(f"{mark}: the sender is told the reference", reference(answer) == name, answer)
                for line in ("Sender: <sender@spam.example>", "Recipient: alice@example.org", "Door: milter", "Class: incoming",
                             "Client-Address: 198.51.100.7", "Client-Name: client.spam.example", "Client-Helo: client.spam.example"):
                    check(f"{mark}: the trace has {line}", f"X-Lazaret-{line}\r\n" in trace, trace)
                check(f"{mark}: the trace has a queue id", re.search(r"X-Lazaret-Queue-Id: [0-9A-F]{6,}", trace), trace)
                check(f"{mark}: the trace has score and reasons", re.search(r"X-Lazaret-Score: \d.*\r\n(.*\r\n)*X-Lazaret-Reason: ", trace), trace)
                check(f"{mark}: the header is as it came", "Rebuilt" not in trace, trace)
        check("nothing of it was delivered", not sink.mails, sink.mails)
        answer = refused(mail("percent-me", mark="percent"))
        check("a percent sign comes as it is", answer and "100% spam, %s" in answer.text, answer)

    with check.part("passed, with the filter's fields"):
        message = marked("clean")
        check("a clean message is accepted", send(message) == [])
        wait_for(lambda: sink.having("mark clean"))
        arrived = sink.having("mark clean")
        check("it arrives", len(arrived) == 1)
        header, _, body = arrived[0].partition(b"\r\n\r\n")
        original, _, text = message.partition(b"\r\n\r\n")
        check("its body is as it was", body == text, body)
        check("its header is as it was, in one piece", original in header, header)
        check("the filter's fields are there", re.search(rb"(?m)^X-Spamd-Result: default: False", header), header)
        check("it is not kept", not having("mark clean"))

    with check.part("marked: delivered, and a copy for training"):
        check("it is accepted", send(mail("mark-me please", mark="marked")) == [])
        wait_for(lambda: sink.having("marked@spam"))
        arrived = sink.having("marked@spam")
        check("it arrives with the mark", len(arrived) == 1 and re.search(rb"(?m)^X-Spam: Yes", arrived[0]), arrived)
        check("a copy lies in Training Requested", len(having("marked@spam", folder="Training")) == 1)
        check("and not in Caught", not having("marked@spam"))

    with check.part("put off by the filter: never kept"):
        answer = refused(mail("later-me", mark="later"))
        check("it is 451 with the filter's words", answer and answer.code == 451 and "come again later" in answer.text, answer)
        check("nothing is kept", not having("later@spam"))

    with check.part("recipients who are due different answers"):
        message = mail("reject-me split", mark="split")
        try:
            left = send(message, ["alice@example.org", "bob@example.net", "carol@example.org"])
            check("the message is refused", False, left)
        except Refused as answer:
            check("550 for those of the first one's domain", answer.code == 550, answer)
        check("it is kept for both", len(having("split@spam")) == len(having("split@spam", recipient="carol@example.org")) == 1)
        check("and not for the other", not having("split@spam", recipient="bob@example.net"))
        message = marked("parts")
        left = send(message, ["alice@example.org", "bob@example.net"])
        check("the other is told 452 4.5.3", len(left) == 1 and left[0][0] == "bob@example.net" and left[0][1].startswith("4.5.3 "), left)
        check("and is taken when he comes alone", send(mail("reject-me split", mark="split2"), ["bob@example.net"]) == [])
        check("kept", len(having("split2@spam", recipient="bob@example.net")) == 1)
        time.sleep(1)
        check("and not delivered", not sink.having("split2@spam"))

    with check.part("mail of our own people"):
        login = "ADDR=198.51.100.8 LOGIN=alice@example.org"
        answer = refused(mail("reject-me own", mark="own"), ["victim@example.com"], sender="alice@example.org", client=login)
        check("it is refused", answer and answer.code == 550, answer)
        found = having("own@spam", folder="Outgoing")
        check("it lies with its sender in Outgoing", len(found) == 1 and "X-Lazaret-User: alice@example.org\r\n" in found[0][0], found)
        check("with its recipient", len(found) == 1 and "X-Lazaret-Recipient: victim@example.com\r\n" in found[0][0], found)
        answer = refused(mail("reject-me lan", mark="lan"), ["victim@example.com"], sender="alice@example.org", client="ADDR=192.0.2.5")
        check("what a machine of ours sends is outgoing, too", answer and len(having("lan@spam", folder="Outgoing")) == 1, answer)

    with check.part("the sender comes again"):
        message = mail("reject-me twice", mark="twice")
        first, second = refused(message), refused(message)
        check("the answer is the same", first and reference(first) and reference(first) == reference(second), (first, second))
        check("it is kept once", len(having("twice@spam")) == 1)
        refused(message, ["alice+tag@example.org"])
        check("for another address it is another", len(having("twice@spam")) == 2)

    with check.part("what is released passes"):
        identity = [name for _, text, name in kept() if text == ODD][0]
        done = subprocess.run([BINARY, "release", "--config", f"{home}/lazaret.toml", identity], capture_output=True, text=True, check=False)
        check("it is asked for", done.returncode == 0, done)
        wait_for(lambda: sink.having("odd@spam"), 30)
        arrived = sink.having("odd@spam")
        check("it arrives by the same Postfix, which asks the same filter", len(arrived) == 1 and arrived[0].endswith(ODD), arrived)
        check("and is not caught again", not having("odd@spam"), having("odd@spam"))


def when_things_fail():
    global running
    with check.part("the store fails"):
        blocked = f"{DATA}/mail/example.org/zoe"
        with open(blocked, "w"):
            pass
        message = mail("reject-me zoe", mark="zoe")
        answer = refused(message, ["alice@example.org", "zoe@example.org"])
        check("it is 451", answer and answer.code == 451, answer)
        check("the answer tells nothing of our insides", answer and DATA not in answer.text and "os error" not in answer.text, answer)
        check("it is kept for nobody", not having("zoe@spam"))
        os.unlink(blocked)
        answer = refused(message, ["alice@example.org", "zoe@example.org"])
        check("after the repair it is refused, and kept once for each", answer and answer.code == 550
              and len(having("zoe@spam")) == len(having("zoe@spam", recipient="zoe@example.org")) == 1, answer)

    with check.part("a domain that the mail server knows and Lazaret does not"):
        answer = refused(mail("reject-me missing", mark="missing"), ["dora@example.com"])
        check("spam for it is put off", answer and answer.code == 451 and answer.text.startswith("4.1.2 "), answer)
        check("with an alarm", "example.com is not among [domains]" in running.logged(), running.logged())
        check("other mail for it passes", send(marked("elsewhere"), ["dora@example.com"]) == [])
        answer = refused(mail("reject-me both", mark="both"), ["alice@example.org", "dora@example.com"])
        check("spam for both is kept for nobody", answer and answer.code == 451 and not having("both@spam"), answer)

    with check.part("a milter that nobody is"):
        answer = refused(mail("reject-me nobody", mark="nobody"), port=server_ports["down"])
        check("mail is put off", answer and answer.code in (451, 421), answer)

    with check.part("Lazaret is killed"):
        message = mail("reject-me killed", mark="killed")
        first = refused(message)
        running.kill()
        answer = refused(message)
        check("mail is put off", answer and answer.code in (451, 421), answer)
        running = lazaret()
        second = refused(message)
        check("after the restart it has the same reference, and is kept once", first and second and reference(first) == reference(second)
              and len(having("killed@spam")) == 1, (first, second))


def with_headers():
    with check.part("a filter that came before"):
        port = server_ports["headers"]
        answer = refused(mail("mark-me before", mark="before"), port=port)
        check("what it marked is refused", answer and answer.code == 550, answer)
        check("and kept, with its fields", len(having("before@spam")) == 1 and b"\r\nX-Spamd-Result: default: " in having("before@spam")[0][1], having("before@spam"))
        forged = b"X-Spamd-Result: default: True [99.00 / 15.00]; FORGED(99.00)[]\r\nX-Spam-Flag: YES\r\n" + mail("forged", mark="forged")
        check("what the sender forged counts for nothing", refused(forged, port=port) is None, having("forged@spam"))
        check("and is delivered", wait_for(lambda: sink.having("forged@spam")))


def with_spamd():
    with check.part("SpamAssassin"):
        port = server_ports["spamd"]
        message = mail("reject-me spamd", mark="spamd")
        answer = refused(message, port=port)
        check("spam is refused", answer and answer.code == 550, answer)
        check("and kept byte for byte", [entry[1] for entry in having("spamd@spam")] == [message])
        check("ham is delivered", send(marked("spamdham"), port=port) == [] and wait_for(lambda: sink.having("mark spamdham")))


def with_old_protocol():
    with check.part("an old mail server"):
        answer = refused(ODD.replace(b"odd@spam", b"old@spam"), port=server_ports["old"])
        found = having("old@spam")
        check("it is refused and kept", answer and answer.code == 550 and len(found) == 1, answer)
        check("the trace says what was rebuilt", len(found) == 1 and "X-Lazaret-Rebuilt: " in found[0][0], found)
        check("one space stands behind each colon", len(found) == 1 and b"\r\nTo: alice@example.org\r\n" in found[0][1] and b"\r\nX-Empty: \r\n" in found[0][1], found)


def by_hand():
    with check.part("a slow filter"):
        peer = Peer(PORTS["slow"])
        peer.message()
        began, signs = time.monotonic(), 0
        while (answer := peer.hear()) == b"p":
            signs += 1
        took = time.monotonic() - began
        check("signs of life come while it is asked", signs == 1, signs)
        check("then the answer", answer.startswith(b"y550 5.7.1 message refused as spam and kept, reference ") and 10 < took < 24, (answer, took))
        peer.say(b"Q")
        check("and the connection ends", peer.hear() == b"")

    with check.part("no filter"):
        peer = Peer(PORTS["accepts"])
        peer.message()
        check("it is accepted where it is configured so", peer.hear() == b"a")

    with check.part("peers that break the protocol"):
        for name, bytes_ in {
            "a packet of 4 GB": b"\xff\xff\xff\xffB" + b"x" * 100,
            "an unknown command": b"\0\0\0\x01Z",
            "an empty packet": b"\0\0\0\0\0",
            "a message without an envelope": b"\0\0\0\x01E",
            "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        }.items():
            peer = Peer(PORTS["rspamd"])
            peer.socket.sendall(bytes_)
            check(f"{name} ends the connection", peer.hear() == b"")
        silent = [Peer(PORTS["rspamd"]) for _ in range(50)]
        for peer in silent:
            peer.socket.sendall(b"\0\0\x10\0M<half")
        peer = Peer(PORTS["rspamd"], version=2, actions=0x3F, steps=0x7F)
        check("an old offer is answered within its limits", peer.offer == b"O" + bytes.fromhex("000000020000001100000040"), peer.offer)
        check("others are served meanwhile", peer.ask(b"M<a@b>\0") == b"c" and peer.ask(b"R<alice@example.org>\0") == b"c")


def memory_is_bounded():
    with check.part("memory"):
        peers = []
        refusals = 0
        for _ in range(12):
            peer = Peer(PORTS["slow"])
            peer.say(b"M<a@b>\0")
            peer.ask(b"R<alice@example.org>\0")
            for _ in range(10):
                peer.say(b"B" + b"x" * 1_000_000)
            peers.append(peer)
        time.sleep(1)
        with open(f"/proc/{running.process.pid}/status") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) // 1024
        check("12 messages of 10 MB at once stay within the memory for messages", resident < 64 + 80, f"{resident} MB")
        for peer in peers:
            peer.say(b"E")
        for peer in peers:
            while (answer := peer.hear()) == b"p":
                pass
            refusals += answer.startswith(b"y452 4.3.1 ")
        check("those for which there is no room are put off", 3 <= refusals <= 9, refusals)


sink = Sink()
with Rspamd(lua=PERCENT) as rspamd, Spamd() as spamd:
    # Released mail goes by the Postfix that asks, so its port is fixed first.
    with open(f"{ROOT}/etc/postfix/milter.cf") as snippet:
        lines = snippet.read().replace("127.0.0.1:8026", f"127.0.0.1:{PORTS['rspamd']}")
    server_ports = {name: free_port() for name in ("headers", "spamd", "old", "down")}

    def service(name, milters, more=""):
        return f"127.0.0.1:{server_ports[name]} inet n - n - - smtpd\n  -o {{smtpd_milters = {milters}}}\n{more}"

    services = (
        service("headers", f"inet:127.0.0.1:{rspamd.proxy}, inet:127.0.0.1:{PORTS['headers']}")
        + service("spamd", f"inet:127.0.0.1:{PORTS['spamd']}")
        + service("old", f"inet:127.0.0.1:{PORTS['rspamd']}", "  -o cleanup_service_name=oldcleanup\n  -o milter_protocol=2\n")
        + "oldcleanup unix n - n - 0 cleanup\n  -o milter_protocol=2\n"
        + service("down", f"{{ inet:127.0.0.1:{free_port()}, connect_timeout=5s, default_action=tempfail }}")
    )
    with postfix.Postfix(UNPACKED, sink.port, lines, services) as server:
        configure(rspamd.port, spamd.port, slow_rspamd(15), server.port)
        running = lazaret()
        try:
            with_rspamd()
            when_things_fail()
            with_headers()
            with_spamd()
            with_old_protocol()
            by_hand()
            memory_is_bounded()
            with check.part("Lazaret is stopped"):
                check("it ends cleanly", running.stop() == 0, running.logged())
                message = marked("stopped")
                answer = refused(message)
                check("mail is put off", answer and answer.code == 451, answer)
                running = lazaret()
                check("and taken when it runs again", send(message) == [] and wait_for(lambda: sink.having("mark stopped")))
            with check.part("rspamd is stopped"):
                rspamd.stop()
                message = mail("reject-me unseen", mark="unseen")
                answer = refused(message)
                check("mail is put off", answer and answer.code == 451, answer)
                check("and not kept", not having("unseen@spam"))
                check("the log says why", "no verdict: http://127.0.0.1" in running.logged(), running.logged())
        finally:
            if check.failed:
                print(running.logged(), server.logged(), sep="\n")
            running.stop()
shutil.rmtree(home)
check.finish()
