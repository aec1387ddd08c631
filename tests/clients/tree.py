#!/usr/bin/python3
"""`admin_tree`: children of Caught in LIST and SELECT, with the same UIDs; an administrator's \\Seen is his own in them, too;
moving out of them, and back from Trash."""
import imaplib
import os
import re
import subprocess
import tempfile

from lazaret import BINARY, Checks, Server, certificate, free_port, lmtp_send, marked, ok, wait_for

check = Checks()
PASSWORD = "p-secret"
LOGINS = ["global", "example.org", "alice@example.org"]
ALICE, BOB = "Caught/example.org/alice", "Caught/example.org/bob"


class Served(Server):
    def __init__(self, folder):
        self.port, self.door = free_port(), free_port()
        config = os.path.join(folder, "lazaret.toml")
        with open(config, "w") as file:
            file.write(f"""data = "{folder}/data"
users = "{folder}/users"
host_name = "quarantine.example.org"
[page]
tls = []
[imap]
tls = []
starttls = ["127.0.0.1:{self.port}"]
plain_login_on_loopback = true
[folders]
admin_tree = true
[[lmtp]]
listen = "127.0.0.1:{self.door}"
class = "incoming"
[domains."example.org"]
[domains."example.net"]
""")
        certificate(os.path.join(folder, "tls"))
        for login in LOGINS:
            subprocess.run([BINARY, "--config", config, "user", "add", login], input=PASSWORD + "\n", text=True, check=True, capture_output=True)
        super().__init__("--config", config, "serve", wait_json=False)
        check("it starts", wait_for(self.answers))

    def answers(self):
        try:
            return self.open("global").logout()[0] == "BYE"
        except OSError:
            return False

    def open(self, login, folder=None, readonly=False):
        connection = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        connection.login(login, PASSWORD)
        if folder:
            ok(connection.select(folder, readonly))
        return connection

    def bring(self, recipient):
        lmtp_send(f"127.0.0.1:{self.door}", "s@spam.example", [recipient], marked(f"for {recipient}"))


def names(connection, pattern, command="list"):
    return [line.split(b' "/" ')[1].strip(b'"').decode() for line in ok(getattr(connection, command)('""', pattern)) if line]


def flags(connection):
    """UID -> whether it is \\Seen."""
    rows = [line for line in ok(connection.uid("FETCH", "1:*", "(FLAGS)")) if line]
    return {int(re.search(rb"UID (\d+)", row)[1]): rb"\Seen" in row for row in rows}


def status(connection, folder):
    line = ok(connection.status(folder, "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"))[0]
    return {key.decode(): int(value) for key, value in re.findall(rb"([A-Z]+) (\d+)", line.rsplit(b"(", 1)[1])}


with tempfile.TemporaryDirectory(prefix="lazaret-tree-") as folder, Served(folder) as server:
    for recipient in ["alice@example.org", "bob@example.org", "alice@example.org", "j.doe@example.net", '"a/b%"@example.net']:
        server.bring(recipient)
    admin, domain, alice = (server.open(login) for login in LOGINS)

    with check.part("LIST"):
        top = names(admin, "%")
        check("% does not list children", "Caught" in top and not any("/" in name for name in top), top)
        check("% below Caught lists domains", names(admin, '"Caught/%"') == ["Caught/example.net", "Caught/example.org"])
        recipients = ["Caught/example.net/a%2Fb%25", "Caught/example.net/j.doe", ALICE, BOB]
        check("% below domains lists recipients", names(admin, '"Caught/%/%"') == recipients)
        check("children are subscribed", names(admin, '"Caught/%/%"', "lsub") == recipients)
        check("a domain's account has those of its domain", names(domain, '"Caught/*"') == ["Caught/example.org", ALICE, BOB])
        check("a recipient's has none", names(alice, '"Caught/*"') == [])
        answer = dict(line.split(b' "/" ')[::-1] for line in ok(admin.list('""', "Caught*")))
        check("Caught has children", rb"\HasChildren" in answer[b"Caught"] and rb"\HasChildren" in answer[b"Caught/example.org"])
        check("a recipient has not", rb"\HasNoChildren" in answer[ALICE.encode()])
        check("a domain's account cannot open another's", domain.select("Caught/example.net")[0] == "NO")
        check("nor a recipient's any", alice.select("Caught/example.org/bob")[0] == "NO")
        ids = [admin.status(name, "(MAILBOXID)")[1][0].rsplit(b"(", 1)[1] for name in ["Caught", "Caught/example.org", *recipients[1:]]]
        check("each has a MAILBOXID of its own", len(set(ids)) == len(ids), ids)
        check("GETQUOTAROOT", admin.getquotaroot(ALICE)[0] == "OK")
        check("UNSUBSCRIBE", ok(admin.unsubscribe(BOB)) and BOB not in names(admin, '"Caught/%/%"', "lsub"))

    with check.part("the same UIDs"):
        ok(admin.select("Caught"))
        everything = flags(admin)
        ok(admin.select("Caught/example.org"))
        within = flags(admin)
        ok(admin.select(ALICE))
        hers = flags(admin)
        check("Caught has five, the domain three, Alice two", [len(x) for x in (everything, within, hers)] == [5, 3, 2])
        check("they are among those of Caught", set(hers) < set(within) < set(everything))
        check("UIDVALIDITY is that of Caught", status(admin, ALICE)["UIDVALIDITY"] == status(admin, "Caught")["UIDVALIDITY"])
        check("UIDNEXT is of this view", status(admin, ALICE)["UIDNEXT"] == max(hers) + 1 < status(admin, "Caught")["UIDNEXT"])

    with check.part("an administrator's look"):
        first, second = sorted(hers)
        ok(alice.select("Caught"))
        before = {name: status(admin, name)["HIGHESTMODSEQ"] for name in ["Caught", ALICE, BOB]}
        hers_before = status(alice, "Caught")
        ok(admin.uid("FETCH", str(first), "(BODY[])"))
        check("what he read there", flags(admin) == {first: True, second: False})
        check("is read in his Caught", status(admin, "Caught")["UNSEEN"] == 4 and status(admin, ALICE)["UNSEEN"] == 1)
        check("and not by Alice", flags(alice) == {first: False, second: False} and status(alice, "Caught") == hers_before)
        check("nor by the domain's account", status(domain, ALICE)["UNSEEN"] == 2)
        after = {name: status(admin, name)["HIGHESTMODSEQ"] for name in before}
        moved = [name for name in before if after[name] > before[name]]
        check("HIGHESTMODSEQ moves where it shows", moved == ["Caught", ALICE], moved)
        ok(alice.uid("STORE", str(second), "+FLAGS", r"(\Seen \Flagged)"))
        ok(admin.noop())
        check("Alice's look is hers", flags(admin) == {first: True, second: False})
        whole = server.open("global", "Caught")
        ok(whole.uid("STORE", str(first), "-FLAGS", r"(\Seen)"))
        ok(admin.noop())
        check("and vice versa: unread in Caught, unread in the child", flags(admin) == {first: False, second: False})

    with check.part("changes are told"):
        server.bring("bob@example.org")
        ok(admin.noop())
        check("Bob's mail is not told of in Alice's child", len(flags(admin)) == 2)
        server.bring("alice@example.org")
        ok(admin.noop())
        check("hers is", len(flags(admin)) == 3)
        check("SEARCH finds within", len(ok(admin.uid("SEARCH", "ALL"))[0].split()) == 3)

    with check.part("moving"):
        last = max(flags(admin))
        check("not to somebody else's", admin.uid("MOVE", str(last), BOB)[0] == "NO")
        ok(admin.uid("MOVE", str(last), "Trash"))
        ok(admin.select("Trash"))
        trashed = max(flags(admin))
        answer, text = admin.uid("MOVE", str(trashed), BOB)
        check("back from Trash only to its own", answer == "NO" and ALICE.encode() in text[0], text)
        ok(admin.uid("MOVE", str(trashed), ALICE))
        ok(admin.select(ALICE))
        check("it is back", len(flags(admin)) == 3)
        ok(admin.uid("MOVE", str(first), "Release"))
        ok(admin.uid("STORE", str(second), "+FLAGS", r"(\Deleted)"))
        ok(admin.expunge())
        left = flags(admin)
        check("released and expunged", len(left) == 1 and first not in left and second not in left, left)
        ok(alice.noop())
        check("for Alice, too", set(flags(alice)) == set(left))
        ok(admin.uid("STORE", "1:*", "+FLAGS", r"(\Deleted)"))
        ok(admin.expunge())
        check("an empty child stays", status(admin, ALICE)["MESSAGES"] == 0 and ALICE in names(admin, '"Caught/*"'))
        check("CREATE of one that is there", b"ALREADYEXISTS" in admin.create(ALICE)[1][0])
        check("children cannot be made", b"NOPERM" in admin.create("Caught/example.org/zoe")[1][0])
        check("DELETE is refused", admin.delete(ALICE)[0] == "NO")
        check("APPEND is refused", admin.append(ALICE, None, None, b"A: b\r\n\r\n")[0] == "NO")
    for connection in (admin, domain, alice, whole):
        connection.logout()
check.finish()
