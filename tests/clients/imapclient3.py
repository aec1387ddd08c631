#!/usr/bin/python3
"""Python's imapclient, every method that a script would use, in both modes of write-only folders.

It is no package of Debian 12: `pip install --target DIRECTORY imapclient`, and PYTHONPATH=DIRECTORY."""
import sys
import tempfile
import time

from changing import Quarantine
from lazaret import ACTIONS, Checks, arrived, marked, read_tree, wait_for

try:
    import imapclient
except ImportError:
    print("skipped: imapclient missing")
    sys.exit(77)
from imapclient.exceptions import IMAPClientError

check = Checks()


def refused(call, *arguments):
    """The text of a refusal, or None."""
    try:
        call(*arguments)
    except IMAPClientError as error:
        return str(error)
    return None


def folders(client, mode, server):
    names = [name for _, _, name in client.list_folders()]
    check(f"{mode}: folders by their plain names", {"INBOX", "Caught", "Trash", *ACTIONS} == set(names), names)
    check(f"{mode}: all are subscribed", names == [name for _, _, name in client.list_sub_folders()])
    check(f"{mode}: Trash by its special use", client.find_special_folder(b"\\Trash") == "Trash")
    check(f"{mode}: nothing is called Sent", client.find_special_folder(b"\\Sent") is None)
    check(f"{mode}: namespace", client.namespace().personal == (("", "/"),), client.namespace())
    client.unsubscribe_folder("Spam")
    check(f"{mode}: unsubscribed", "Spam" not in [name for _, _, name in client.list_sub_folders()])
    client.subscribe_folder("Spam")
    check(f"{mode}: subscribed again", "Spam" in [name for _, _, name in client.list_sub_folders()])
    check(f"{mode}: folder_exists", client.folder_exists("Release & Train") and not client.folder_exists("Other"))
    status = client.folder_status("Caught", ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"])
    check(f"{mode}: folder_status", status[b"MESSAGES"] == 6 and status[b"UNSEEN"] == 6, status)
    for call, arguments in ((client.create_folder, ["Other"]), (client.delete_folder, ["Caught"]), (client.rename_folder, ["Caught", "Other"])):
        check(f"{mode}: {call.__name__} is refused", refused(call, *arguments))
    for name in ACTIONS:
        said = refused(client.select_folder, name)
        if mode == "refuse":
            check(f"{mode}: {name} does not open, and says why", said and "write-only" in said, said)
            check(f"{mode}: no status of {name}", refused(client.folder_status, name))
        else:
            check(f"{mode}: {name} opens empty", said is None and client.search() == [], said)
            check(f"{mode}: status of {name}", client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] == 0)
    if client.has_capability("ACL"):
        check(f"{mode}: getacl", "li" in str(client.getacl("Spam")), client.getacl("Spam"))
    if client.has_capability("QUOTA"):
        check(f"{mode}: quota roots are told", isinstance(client.get_quota_root("Caught"), tuple))


def reading(client, mode, server):
    opened = client.select_folder("Caught", readonly=True)
    check(f"{mode}: select_folder read-only", opened[b"EXISTS"] == 6 and b"READ-ONLY" in opened, opened)
    opened = client.select_folder("Caught")
    check(f"{mode}: select_folder", opened[b"EXISTS"] == 6 and opened[b"PERMANENTFLAGS"], opened)
    uids = client.search()
    check(f"{mode}: search all", len(uids) == 6 and uids == sorted(uids), uids)
    one = client.search(["SUBJECT", "mark i1"])
    for criteria, charset, wanted in (
        (["UNSEEN", "FROM", "partner", "NOT", ["SUBJECT", "mark i1"]], None, uids[:1] + uids[2:]),
        (["OR", ["SUBJECT", "mark i0"], ["SUBJECT", "mark i2"]], None, [uids[0], uids[2]]),
        (["BODY", "Grüße"], "UTF-8", uids),
        (["TEXT", "GRÜSSE NICHT"], "UTF-8", []),
        (["HEADER", "Message-ID", "<i3@partner.example>"], None, [uids[3]]),
        (["SINCE", time.strftime("%d-%b-%Y", time.gmtime(time.time() - 172800)), "LARGER", 100, "SMALLER", 100000], None, uids),
        (["UID", f"{uids[4]}:*"], None, uids[4:]),
    ):
        found = client.search(criteria, charset)
        check(f"{mode}: search {criteria}", list(found) == wanted, found)
    data = client.fetch(uids, ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]"])
    item = data[one[0]]
    check(f"{mode}: ENVELOPE", item[b"ENVELOPE"].subject == b"mark i1" and item[b"ENVELOPE"].from_[0].host == b"partner.example", item)
    check(f"{mode}: BODYSTRUCTURE", item[b"BODYSTRUCTURE"][:2] == (b"text", b"plain") or item[b"BODYSTRUCTURE"][0].lower() == b"text", item)
    check(f"{mode}: header fields", b"Subject: mark i1" in item[b"BODY[HEADER.FIELDS (SUBJECT DATE)]"], item)
    check(f"{mode}: nothing of this marks as seen", b"\\Seen" not in item[b"FLAGS"], item)
    whole = client.fetch(one, ["BODY.PEEK[]", "BODY.PEEK[TEXT]<0.10>"])[one[0]]
    check(f"{mode}: BODY[] to the byte", whole[b"BODY[]"].endswith(marked("i1")))
    check(f"{mode}: a part of TEXT", len(whole[b"BODY[TEXT]<0>"]) == 10, whole.keys())
    client.use_uid = False
    check(f"{mode}: by sequence number", client.fetch([2], ["UID"])[2][b"UID"] == one[0])
    client.use_uid = True

    def flags(answer):
        return {flag for flag in answer[one[0]] if flag != imapclient.RECENT}

    check(f"{mode}: add_flags", flags(client.add_flags(one, [imapclient.FLAGGED, "$label1"])) == {imapclient.FLAGGED, b"$label1"})
    check(f"{mode}: search by flag", client.search(["KEYWORD", "$label1", "FLAGGED"]) == one)
    check(f"{mode}: set_flags", flags(client.set_flags(one, [imapclient.SEEN])) == {imapclient.SEEN})
    check(f"{mode}: remove_flags", not flags(client.remove_flags(one, [imapclient.SEEN])))
    check(f"{mode}: get_flags", not flags(client.get_flags(one)))
    if client.has_capability("SORT"):
        check(f"{mode}: sort", client.sort(["REVERSE SUBJECT"]) == uids[::-1])
    if client.has_capability("THREAD=REFERENCES"):
        check(f"{mode}: thread", sorted(u for thread in client.thread("REFERENCES") for u in thread) == uids)
    if client.has_capability("CONDSTORE"):
        client.select_folder("Caught")
        check(f"{mode}: MODSEQ", client.fetch(one, ["MODSEQ"])[one[0]][b"MODSEQ"][0] > 0)


def waiting(client, mode, server):
    client.select_folder("Caught")
    client.idle()
    server.deliver("idle")
    began = time.time()
    told = client.idle_check(timeout=10)
    took = time.time() - began
    check(f"{mode}: new mail in IDLE", (7, b"EXISTS") in told and took < 2, (told, took))
    client.idle_done()
    client.noop()
    return client.search(["SUBJECT", "mark idle"])


def acting(client, mode, server):
    uids = {mark: client.search(["SUBJECT", f"mark {mark}"])[0] for mark in ("i0", "i1", "i2", "i3")}
    client.copy([uids["i0"]], "Release")
    client.move([uids["i1"]], "Release & Train")
    client.move([uids["i2"]], "Not Spam")
    client.move([uids["i3"]], "Trash")
    for mark in ("i0", "i1"):
        check(f"{mode}: {mark} is delivered", wait_for(lambda m=mark: arrived(server.far.messages(), marked(m), exact=True) == 1))
    for mark in ("i1", "i2"):
        check(f"{mode}: {mark} is trained", wait_for(lambda m=mark: marked(m) in read_tree(f"{server.data}/trained/ham")))
    report = b"From: x@y.example\r\nSubject: reported by a script\r\n\r\nspam\r\n"
    client.append("Spam", report, flags=[imapclient.SEEN])
    check(f"{mode}: what was appended to Spam is trained", wait_for(lambda: report in read_tree(f"{server.data}/trained/spam")))
    for name, word in (("Release", "relay"), ("Caught", "takes no messages"), ("Trash", "takes no messages")):
        said = refused(client.append, name, report)
        check(f"{mode}: APPEND to {name} is refused with a reason", said and word in said, said)
    before = client.fetch([uids["i0"]], ["INTERNALDATE"])[uids["i0"]][b"INTERNALDATE"]
    client.copy([uids["i0"]], "Trash")
    client.select_folder("Trash")
    copied = client.search(["SUBJECT", "mark i0"])
    check(f"{mode}: a copy has the date of the original", client.fetch(copied, ["INTERNALDATE"])[copied[0]][b"INTERNALDATE"] == before)
    back = client.search(["SUBJECT", "mark i3"])
    client.move(back, "Caught")
    client.select_folder("Caught")
    again = client.search(["SUBJECT", "mark i3"])
    check(f"{mode}: back from Trash", len(again) == 1 and again[0] > uids["i3"], again)
    client.delete_messages(again)
    client.expunge()
    check(f"{mode}: expunged", client.search(["SUBJECT", "mark i3"]) == [])
    other = client.search(["SUBJECT", "mark i4"])
    client.delete_messages(other)
    client.uid_expunge(client.search(["SUBJECT", "mark i5"]))
    check(f"{mode}: UID EXPUNGE leaves the others", client.search(["SUBJECT", "mark i4"]) == other)
    client.unselect_folder()
    client.select_folder("Caught")
    check(f"{mode}: UNSELECT expunges nothing", client.search(["DELETED"]) == other)
    client.close_folder()
    client.select_folder("Caught")
    check(f"{mode}: CLOSE expunges", client.search(["DELETED"]) == [])


def run(mode):
    with tempfile.TemporaryDirectory(prefix="lazaret-script-") as folder, Quarantine(folder, mode) as server:
        for i in range(6):
            server.deliver(f"i{i}")
        client = imapclient.IMAPClient("127.0.0.1", server.ports["imap"], ssl=False, timeout=20)
        client.login("alice@example.org", "a-secret")
        check(f"{mode}: ID", client.id_({"name": "a script"})[0] and client.has_capability("ID"))
        if client.has_capability("UTF8=ACCEPT"):
            check(f"{mode}: ENABLE", b"UTF8=ACCEPT" in client.enable("UTF8=ACCEPT"))
        for part in (folders, reading, waiting, acting):
            with check.part(f"{mode}: {part.__name__}"):
                part(client, mode, server)
        client.logout()


for mode in ("refuse", "empty"):
    with check.part(mode):
        run(mode)
check.finish()
