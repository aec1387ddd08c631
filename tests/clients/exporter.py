#!/usr/bin/python3
"""rspamd's exporter: the real rspamd, with the rule of etc/rspamd, tells of what it refuses and marks, and so do its other
forms. What is kept is what came, for whom it was, and why; repeats are one message, over restarts, too; what cannot be
stored makes rspamd defer.
"""
import base64
import glob
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile

from exporter_site import TOKEN, Site
from filters import Rspamd, mail
from lazaret import BINARY, ROOT, Checks, Server, free_port, need, wait_for

need("rspamd")
check = Checks()
CLIENT = [("IP", "192.0.2.7"), ("Helo", "client.spam.example"), ("Milter", "Yes")]


def post(site, body, headers, unix=False, token=TOKEN):
    """Posts as an exporter does; status and text."""
    if unix:
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(site.unix)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        if token:
            headers = {**headers, "Authorization": f"Bearer {token}"}
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def scan(rspamd, message, qid, recipients=("alice@example.org",), **more):
    """Has rspamd look at a message as a mail server does; what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", rspamd.port, timeout=60)
    connection.putrequest("POST", "/checkv2")
    fields = CLIENT + [("From", "<sender@spam.example>"), ("Queue-Id", qid), *((k, v) for k, v in more.items())]
    for name, value in fields + [("Rcpt", f"<{recipient}>") for recipient in recipients]:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(message)))
    connection.endheaders()
    connection.send(message)
    return json.loads(connection.getresponse().read())


def snippet(port, **change):
    """The rule that is installed, for this site."""
    with open(f"{ROOT}/etc/rspamd/metadata_exporter.conf") as file:
        text = file.read().replace("127.0.0.1:8025", f"127.0.0.1:{port}").replace('password = "TOKEN"', f'password = "{TOKEN}"')
    for old, new in change.items():
        if not old in text:
            raise RuntimeError(f"{old} is not in the snippet")
        text = text.replace(old, new)
    return text


def rule(port, formatter, **more):
    """A rule with one of rspamd's own formatters."""
    words = {"backend": '"http"', "url": f'"http://127.0.0.1:{port}/"', "user": '"x"', "password": f'"{TOKEN}"', "selector": '"is_reject"',
             "formatter": f'"{formatter}"', "defer": "true", **more}
    return "rules {\n  FORM {\n" + "".join(f"    {key} = {value};\n" for key, value in words.items()) + "  }\n}\n"


def with_the_snippet(home):
    port = free_port()
    with Rspamd({"metadata_exporter.conf": snippet(port)}) as rspamd:
        message = mail("reject-me", "Grüße\r\n.\r\n..".encode().decode("latin-1"), mark="m1")
        with Site(home, port) as site:
            verdict = scan(rspamd, message, "4QID1", ["Alice+Shop@example.org", "bob@example.net", "far@elsewhere.test"])
            check("rspamd rejects, and we are no reason not to", verdict["action"] == "reject", verdict)
            kept = site.kept()
            check("each recipient of ours has a copy", sorted(k["recipients"][0] for k in kept) == ["Alice+Shop@example.org", "bob@example.net"],
                  [k["recipients"] for k in kept])
            one = site.kept("alice@example.org")[0]
            check("byte for byte", all(site.original(k) == message for k in kept), site.original(one))
            check("who sent it", (one["client"]["address"], one["client"]["queue_id"], one["client"]["door"]) == ("192.0.2.7", "4QID1", "exporter"), one["client"])
            check("score and reasons", float(one["score"]) >= 20 and any(r.startswith("LAZARET_REJECT(20.00)[word reject-me") for r in one["reasons"]),
                  (one["score"], one["reasons"]))
            check("the weightiest first", one["reasons"][0].startswith("LAZARET_REJECT"), one["reasons"])

            scan(rspamd, message, "4QID1", ["Alice+Shop@example.org", "bob@example.net", "far@elsewhere.test"])
            check("told again, kept once", len(site.kept()) == 2)
            scan(rspamd, message, "4QID2")
            check("another queue id is another message", len(site.kept()) == 3)

            verdict = scan(rspamd, mail("reject-me", mark="m2"), "4FAR", ["far@elsewhere.test", "nobody@example.net"])
            check("for others only: rspamd goes on", verdict["action"] == "reject", verdict["action"])
            check("and nothing is kept", len(site.kept()) == 3)
            check("which is logged", "4FAR: not kept: none of its 2 recipients is ours" in site.logged(), site.logged())

            scan(rspamd, mail("virus-me", mark="m3"), "4VIRUS")
            check("a virus is one", site.kept("alice@example.org")[0]["message"]["kind"] == "virus", site.kept("alice@example.org")[0]["message"])
            verdict = scan(rspamd, mail("mark-me", mark="m4"), "4MARK")
            unsure = site.kept(folder="training")
            check("what is delivered with a mark is unsure", verdict["action"] == "add header" and len(unsure) == 1 and unsure[0]["message"]["class"] == "unsure",
                  (verdict["action"], unsure))
            verdict = scan(rspamd, mail("reject-me", mark="m5"), "4OUT", ["far@elsewhere.test"], User="alice@example.org")
            out = site.kept(folder="outgoing")
            check("of who had logged in it is outgoing", len(out) == 1 and out[0]["recipients"] == ["far@elsewhere.test"]
                  and out[0]["client"]["user"] == "alice@example.org", out)
            scan(rspamd, mail("later-me", mark="m6"), "4LATER")
            scan(rspamd, mail("hello", mark="m7"), "4HELLO")
            count = len(site.kept())
            check("what comes again or is good is not kept", count == 4, count)

        with Site(home, port) as site:
            scan(rspamd, message, "4QID1", ["Alice+Shop@example.org", "bob@example.net", "far@elsewhere.test"])
            check("told again after a restart, kept once", len(site.kept()) == count, len(site.kept()))
        verdict = scan(rspamd, mail("reject-me", mark="m8"), "4DOWN")
        check("nobody listens: rspamd defers", verdict["action"] == "soft reject", verdict["action"])
        new = ["new1@example.org", "new2@example.org"]
        with Site(home, port, limits="new_trees_per_hour = 1") as site:
            verdict = scan(rspamd, mail("reject-me", mark="m8"), "4NEW", new)
            check("not kept for all: rspamd defers", verdict["action"] == "soft reject", verdict["action"])
            check("and our log says so", "4NEW: NOT kept" in site.logged(), site.logged())
            check("who can have it has it", len(site.kept()) == count + 1, len(site.kept()))
        with Site(home, port) as site:
            verdict = scan(rspamd, mail("reject-me", mark="m8"), "4NEW", new)
            check("when there is room again it is kept for all", verdict["action"] == "reject" and len(site.kept("new2@example.org")) == 1, verdict["action"])
            with open(f"{home}/token", "w") as file:
                file.write("another-password-than-rspamd-has\n")
        with open(f"{home}/lazaret.toml") as file:
            text = file.read()
        check_wrong_password(rspamd, home, text)


def check_wrong_password(rspamd, home, text):
    """The site again, with another password than rspamd has."""
    with Server("--config", f"{home}/lazaret.toml", "serve", wait_json=False) as server:
        wait_for(lambda: "exporter on" in server.logged())
        verdict = scan(rspamd, mail("reject-me", mark="m9"), "4WRONG")
        check("a wrong password: rspamd defers", verdict["action"] == "soft reject", verdict["action"])
        check("and our log says what is wrong", "401 the password is wrong or missing" in server.logged(), server.logged())


def with_other_forms(home):
    port = free_port()
    with Site(home, port) as site:
        for qid, text, whole in (
            ("4JSON", rule(port, "json"), False),
            ("4HEAD", rule(port, "default", meta_headers="true"), True),
            ("4MULTI", multipart(port), True),
        ):
            with Rspamd({"metadata_exporter.conf": text}) as rspamd:
                message = mail(f"reject-me =?utf-8?q?Gr=C3=B6=C3=9Fe?= {qid}", mark=qid)
                verdict = scan(rspamd, message, qid, ["alice@example.org", "bob@example.net"])
                kept = [k for k in site.kept() if k["client"]["queue_id"] == qid]
                if not check(f"{qid}: both have it", verdict["action"] == "reject" and len(kept) == 2, (verdict["action"], kept, rspamd.logged(), site.logged())):
                    continue
                one = kept[0]
                check(f"{qid}: why", float(one["score"]) >= 20 and any("LAZARET_REJECT(20.00)[word reject-me" in r for r in one["reasons"]), one)
                check(f"{qid}: who", one["client"]["address"] == "192.0.2.7" and one["message"]["sender"] == "sender@spam.example", one)
                if whole:
                    check(f"{qid}: byte for byte", all(site.original(k) == message for k in kept), site.original(one))
                    check(f"{qid}: all of it", one["cut_from"] is None, one["cut_from"])
                else:
                    record = site.original(one).decode()
                    check(f"{qid}: a record that says so", one["cut_from"] and "sent no copy" in one["reasons"][0], one)
                    check(f"{qid}: with what is known", "Subject: reject-me Größe 4JSON\r\n" in record and record.endswith("\r\n\r\n"), record)
                    released = subprocess.run([BINARY, "--config", site.config, "release", one["id"]], capture_output=True, text=True)
                    check(f"{qid}: it cannot be released", released.returncode != 0, released.stdout)


def multipart(port):
    """What `multipart` of rspamd 3.14.2 sends, by a formatter of its own for those before it."""
    text = rule(port, "form", mime_type='"multipart/form-data; boundary=b0undary"')
    return text + """
custom_format { form = <<EOD
return function(task)
  local ucl = require 'ucl'
  local rcpt = {}
  for _, to in ipairs(task:get_recipients('smtp')) do table.insert(rcpt, to.addr) end
  local meta = ucl.to_format({ ip = tostring(task:get_from_ip()), user = 'unknown', qid = task:get_queue_id(), action = 'reject',
    score = task:get_metric_score('default')[1], rcpt = rcpt, from = task:get_from('smtp')[1].addr, symbols = task:get_symbols_all(),
    message_id = task:get_message_id() }, 'json-compact')
  local function part(name, file, kind, data)
    return '--b0undary\\r\\nContent-Disposition: form-data; name="' .. name .. '"' .. file .. '\\r\\nContent-Type: ' .. kind ..
      '\\r\\nContent-Transfer-Encoding: binary\\r\\n\\r\\n' .. data .. '\\r\\n'
  end
  return part('message', '; filename="message.eml"', 'message/rfc822', tostring(task:get_content())) ..
    part('metadata', '', 'application/json', meta) .. '--b0undary--\\r\\n'
end
EOD;
}
"""


def by_hand(home):
    with Site(home, free_port()) as site:
        told = {"ip": "192.0.2.7", "user": "unknown", "qid": "H1", "action": "reject", "score": 20.5, "rcpt": ["alice@example.org"], "from": "unknown",
                "symbols": [{"name": "A", "score": 1}], "message": base64.b64encode(mail("hand", mark="h1")).decode()}
        as_json = lambda **more: json.dumps({**told, **more})
        check("json_with_message", post(site, as_json(), {})[0] == 200)
        check("the null sender", site.kept()[0]["message"]["sender"] == "", site.kept()[0]["message"])
        for name, status, answer in (
            ("no password", 401, post(site, as_json(qid="H2"), {}, token=None)),
            ("a wrong one", 401, post(site, as_json(qid="H2"), {}, token="x" * 30)),
            ("Basic", 200, post(site, as_json(qid="H3"), {"Authorization": "Basic " + base64.b64encode(f"u:{TOKEN}".encode()).decode()}, token=None)),
            ("no form", 415, post(site, "x", {})),
            ("msgpack", 415, post(site, b"\x85\xa2ip\xa1x", {})),
            ("a damaged form", 400, post(site, "--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"})),
            ("damaged base64", 400, post(site, as_json(message="!"), {})),
            ("far too large", 413, post(site, b"", {"Content-Length": str(3 << 20)})),
            ("chunks", 411, post(site, iter([b"{}"]), {"Transfer-Encoding": "chunked"})),
            ("a Unix socket needs no password", 200, post(site, as_json(qid="H4"), {}, unix=True)),
            ("what it does not keep", 200, post(site, as_json(qid="H5", action="add header"), {}, unix=True)),
        ):
            check(name, answer[0] == status, answer)
        kept = {k["client"]["queue_id"]: k for k in site.kept()}
        check("and nothing else is kept", sorted(kept) == ["H1", "H3", "H4"], sorted(kept))
        check("the kind of its door", kept["H4"]["message"]["kind"] == "policy", kept["H4"]["message"])
        twice = lambda qid: post(site, as_json(qid=qid, rcpt=["alice@example.org", "dora@example.org"], message=base64.b64encode(mail("half", mark="half")).decode()), {})
        with open(f"{home}/data/mail/example.org/dora", "w"):
            check("what cannot be kept for all is to be told again", twice("D1")[0] == 503)
        os.unlink(f"{home}/data/mail/example.org/dora")
        check("it is kept when it comes again, as a mail of its own", twice("D2")[0] == 200)
        halves = [k["client"]["queue_id"] for k in site.kept() if k["client"]["queue_id"] in ("D1", "D2")]
        check("once for each recipient", sorted(halves) == ["D1", "D2"], halves)
        check("and once more, when another is the same", twice("D3")[0] == 200 and len([k for k in site.kept() if k["client"]["queue_id"] == "D3"]) >= 1)
        large = mail("large", "x" * 150_000, mark="h6")
        check("larger than max_size", post(site, as_json(qid="H6", message=base64.b64encode(large).decode()), {})[0] == 200)
        one = site.kept()[0]
        check("its header is kept", one["cut_from"] == len(large) and site.original(one) == large[: large.index(b"\r\n\r\n") + 4], one["cut_from"])
        no_id = as_json(qid="unknown", message=base64.b64encode(mail("no id", mark="h7")).decode())
        post(site, no_id, {})
        post(site, no_id, {})
        other = as_json(qid="unknown", message=base64.b64encode(mail("no id", "other", mark="h7")).decode())
        post(site, other, {})
        check("without a queue id the message itself is compared", len(site.kept()) == 10, len(site.kept()))
        check("a file for each that is known", len(glob.glob(f"{home}/data/state/exports/*")) == 8)


def by_header(home):
    """What rspamd writes into a header, and the LMTP door that believes it."""
    with Rspamd() as rspamd, Site(home, free_port()) as site:
        message = mail("mark-me", mark="l1")
        added = scan(rspamd, message, "4LMTP")["milter"]["add_headers"]
        fields = "".join(f"{name}: {field['value']}\r\n".replace("\n\t", "\r\n\t") for name, field in added.items())
        forward = lambda text: lmtp_send_unix(site.lmtp_door, text.encode() + message)
        forward(fields)
        one = site.kept()[0]
        check("LMTP: score and reasons", one["score"].endswith(" / 15.00") and one["reasons"][0].startswith("LAZARET_MARK(8.00)[word mark-me"), one)
        forward("X-Spam-Status: Yes, score=99 required=5 tests=FORGED\r\nX-Spam-Report: \r\n\t* -9 TRUSTED good\r\n")
        one = site.kept()[0]
        check("LMTP: what no filter of this door wrote is no reason", (one["score"], one["reasons"]) == (None, []), one)


def lmtp_send_unix(path, message):
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
        lines = door.makefile("rb")
        for command in (None, b"LHLO mx", b"MAIL FROM:<sender@spam.example>", b"RCPT TO:<alice@example.org>", b"DATA", message + b"."):
            if command is not None:
                door.sendall(command + b"\r\n")
            while (line := lines.readline())[3:4] == b"-":
                pass
            if line[:1] not in b"23":
                raise RuntimeError(f"{command!r}: {line!r}")


place = tempfile.mkdtemp(prefix="exporter-")
try:
    for name, part in (("the snippet", with_the_snippet), ("other forms", with_other_forms), ("by hand", by_hand), ("by header", by_header)):
        with check.part(name):
            part(f"{place}/{part.__name__}")
finally:
    shutil.rmtree(place, ignore_errors=True)
check.finish()
