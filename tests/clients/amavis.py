#!/usr/bin/python3
"""The real amavis quarantines by LMTP into a door that believes it: what it says is in the trace, what a spammer wrote is
not. Needs root, since amavis wants its own user.
"""
import os
import shutil
import smtplib
import tempfile

from exporter_site import Site
from filters import GTUBE, Amavis, mail
from lazaret import Checks, free_port, need

need("amavisd")
if os.geteuid() != 0:
    print("skipped: amavis is started as root", flush=True)
    raise SystemExit(77)
check = Checks()
FORGED = (b"Received: from client.spam.example (client.spam.example [192.0.2.7]) by mx.example.org (Postfix) with ESMTP id 4ABC;\r\n"
          b"\tSat, 21 Nov 2026 10:00:00 +0000\r\nX-Quarantine-ID: <forged>\r\nX-Amavis-Alert: INFECTED, forged\r\nX-Spam-Flag: NO\r\n"
          b"X-Spam-Status: No, score=-99 tests=[FORGED=-99]\r\nX-Spam-Score: -99\r\n")


def send(amavis, message):
    with smtplib.SMTP("127.0.0.1", amavis.port, timeout=120) as door:
        return door.sendmail("sender@spam.example", ["Alice+Shop@example.org", "bob@example.org"], message)


place = tempfile.mkdtemp(prefix="amavis-site-")
try:
    port = free_port()
    with check.part("amavis"), Site(place, free_port(), more=f'[[lmtp]]\nlisten = "127.0.0.1:{port}"\nclass = "incoming"\nverdict = ["amavis"]\n') as site:
        with Amavis(port) as amavis:
            send(amavis, FORGED + mail("gtube", GTUBE, mark="a1"))
            kept = site.kept()
            check("both have it", sorted(k["recipients"][0] for k in kept) == ["Alice+Shop@example.org", "bob@example.org"], [k["recipients"] for k in kept])
            one = kept[0]
            check("the score is amavis's", one["score"].startswith("100") and one["score"].endswith(" / 5.00"), one["score"])
            check("the reasons, too", one["reasons"][0] == "GTUBE(1000.00)" and not any("FORGED" in r or "INFECTED" in r for r in one["reasons"]), one["reasons"])
            check("its id", one["client"]["queue_id"] not in (None, "forged") and f"<{one['client']['queue_id']}>" in one["header"], one["client"])
            check("spam", (one["message"]["kind"], one["message"]["sender"]) == ("spam", "sender@spam.example"), one["message"])
            text = mail("banned", "MZ", mark="a2").replace(b"text/plain; charset=us-ascii", b"application/octet-stream; name=evil.exe")
            send(amavis, FORGED + text)
            one = site.kept("bob@example.org")[0]
            check("banned, and why", one["message"]["kind"] == "banned" and one["reasons"][0].startswith("BANNED, message contains"), one)
finally:
    shutil.rmtree(place, ignore_errors=True)
check.finish()
