#!/usr/bin/python3
"""Python's imaplib as each of the three scopes: log in, list, read, search, and move mail to every action folder."""
import re

from lazaret import ACTIONS, Checks, arrived, body, bring, demo, find, ok, quoted, wait_for

check = Checks()
SPELLINGS = ["Release & Train", "Release and Train", "Release and Train/Not Spam"]


def folders(connection):
    return {line.rsplit(b'"', 2)[-2].decode() if line.endswith(b'"') else line.split()[-1].decode() for line in ok(connection.list())}


def reading(server, account, tls):
    scope = account["scope"]
    imap = server.imap(account, tls)
    names = folders(imap)
    check(f"{scope}: LIST names the kept folders", {"INBOX", "Caught", "Trash"} <= names, names)
    check(f"{scope}: LIST names the action folders", {a.replace("&", "&-") for a in ACTIONS} <= names, names)
    subscribed = ok(imap.lsub())
    check(f"{scope}: all folders are subscribed", len(subscribed) == len(names), subscribed)
    check(f"{scope}: INBOX is empty", int(ok(imap.select("INBOX", readonly=True))[0]) == 0)
    count = int(ok(imap.select("Caught"))[0])
    check(f"{scope}: Caught holds at least eight", count >= 8, count)
    uids = ok(imap.uid("SEARCH", "ALL"))[0].split()
    check(f"{scope}: SEARCH ALL finds every message", len(uids) == count, f"{len(uids)} of {count}")
    check(f"{scope}: UIDs ascend", [int(u) for u in uids] == sorted({int(u) for u in uids}))
    data = ok(imap.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    rows = [item for item in data if isinstance(item, tuple)]
    check(f"{scope}: FETCH gives every message", len(rows) == count, f"{len(rows)} of {count}")
    for head, message in rows:
        size = re.search(rb"RFC822\.SIZE (\d+)", head)
        check(f"{scope}: RFC822.SIZE is the length of BODY[]", size is None or int(size[1]) == len(message), head)
    # Literals make tuples of one line; what begins with a number and a parenthesis begins a message.
    data = ok(imap.uid("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)"))
    begins = [item for item in data if re.match(rb"\d+ \(", item[0] if isinstance(item, tuple) else item or b"")]
    check(f"{scope}: ENVELOPE and BODYSTRUCTURE of every message", len(begins) == count, f"{len(begins)} of {count}")
    seats = ok(imap.uid("SEARCH", "SUBJECT", '"seats for friday"'))[0].split()
    check(f"{scope}: SEARCH SUBJECT finds the tickets", len(seats) == 1, seats)
    status = ok(imap.status("Caught", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))[0]
    check(f"{scope}: STATUS counts the same", f"MESSAGES {count}".encode() in status, status)
    for action in ACTIONS:
        answer, _ = imap.select(quoted(action))
        check(f"{scope}: nothing is seen in {action}", answer == "NO" or imap.untagged_responses.get("EXISTS", [b"0"])[-1] == b"0")
    answer, text = imap.append("Release", None, None, b"Subject: relay\r\n\r\nme\r\n")
    check(f"{scope}: APPEND to Release is refused", answer == "NO", text)
    check(f"{scope}: the refusal says why", bool(text[0]) and len(text[0]) > 10, text)
    answer, _ = imap.create("Mine")
    check(f"{scope}: CREATE is refused", answer == "NO")
    imap.logout()


def acting(server, account):
    scope = account["scope"]
    word = scope.split()[0].lower().strip("-@.:")[:9]
    marks = {name: f"{word}-{name}" for name in ("release", "copied", "spam", "ham", "trash", "train0", "train1", "train2", "many0", "many1")}
    mail = bring(server, marks.values())
    imap = server.imap(account)
    ok(imap.select("Caught"))

    def uid(name):
        found = find(imap, marks[name])
        check(f"{scope}: SEARCH finds {marks[name]}", len(found) == 1, found)
        return found[0]

    def gone(name):
        return check(f"{scope}: {name} left Caught", find(imap, marks[name]) == [])

    def delivered(name, times=1):
        original = mail[marks[name]]
        wait_for(lambda: arrived(server.delivered(), original) >= times)
        check(f"{scope}: {name} was delivered once, with its bytes", arrived(server.delivered(), original) == times)

    def trained(name, what):
        original = mail[marks[name]]
        check(f"{scope}: {name} was trained as {what}", wait_for(lambda: original in server.trained(what)))

    first = uid("release")
    check(f"{scope}: BODY[] ends with the original", body(imap, first).endswith(mail[marks["release"]]))
    ok(imap.uid("MOVE", first, "Release"))
    gone("release")
    delivered("release")

    ok(imap.uid("COPY", uid("copied"), "Release"))
    delivered("copied")
    check(f"{scope}: COPY leaves the message", len(find(imap, marks["copied"])) == 1)

    for i, spelling in enumerate(SPELLINGS):
        ok(imap.uid("MOVE", uid(f"train{i}"), quoted(spelling)))
        gone(f"train{i}")
        delivered(f"train{i}")
        trained(f"train{i}", "ham")

    ok(imap.uid("MOVE", uid("spam"), "Spam"))
    gone("spam")
    trained("spam", "spam")
    ok(imap.uid("MOVE", uid("ham"), quoted("Not Spam")))
    gone("ham")
    trained("ham", "ham")
    check(f"{scope}: Not Spam does not deliver", arrived(server.delivered(), mail[marks["ham"]]) == 0)

    # Sequence numbers instead of UIDs, two at once.
    ok(imap.select("Caught"))
    pair = [ok(imap.search(None, "SUBJECT", f'"mark {marks[n]}"'))[0].decode() for n in ("many0", "many1")]
    ok(imap.xatom("MOVE", ",".join(pair), "Release"))
    delivered("many0")
    delivered("many1")

    ok(imap.select("Caught"))
    ok(imap.uid("MOVE", uid("trash"), "Trash"))
    gone("trash")
    ok(imap.select("Trash"))
    check(f"{scope}: Trash holds it", len(find(imap, marks["trash"])) == 1)
    check(f"{scope}: what was reported as spam is kept in Trash", len(find(imap, marks["spam"])) == 1)
    ok(imap.uid("MOVE", find(imap, marks["trash"])[0], "Caught"))
    ok(imap.select("Caught"))
    check(f"{scope}: back from Trash", len(find(imap, marks["trash"])) == 1)

    report = f"From: x@y.example\r\nSubject: {word} reported\r\n\r\nfrom my own mailbox\r\n".encode()
    ok(imap.append("Spam", None, None, report))
    check(f"{scope}: APPEND to Spam is trained", wait_for(lambda: report in server.trained("spam")))

    target = find(imap, marks["copied"])[0]
    ok(imap.uid("STORE", target, "+FLAGS", r"(\Flagged \Deleted)"))
    ok(imap.expunge())
    check(f"{scope}: EXPUNGE removes", find(imap, marks["copied"]) == [])
    imap.logout()


with demo() as server:
    for account in server.info["accounts"]:
        with check.part(f"{account['scope']}: reading over TLS"):
            reading(server, account, True)
    with check.part("reading over STARTTLS"):
        reading(server, server.account("alice@example.org"), False)
    for account in server.info["accounts"]:
        with check.part(f"{account['scope']}: acting"):
            acting(server, account)
    check("there are three accounts", len(server.info["accounts"]) == 3, server.info["accounts"])
    with check.part("a wrong password"):
        try:
            server.imap({"login": "alice@example.org", "password": "wrong"})
            check("a wrong password is refused", False)
        except Exception as error:  # imaplib raises its own error class
            check("a wrong password is refused", "AUTHENTICATIONFAILED" in str(error), error)
check.finish()
