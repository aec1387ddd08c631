#!/usr/bin/python3
"""Release in the demonstration: every sample arrives with its bytes, DKIM verifies, and each planned failure shows."""
import os
import re

from dkimcheck import verifies
from lazaret import SAMPLES, Checks, arrived, demo, ok, wait_for

check = Checks()
# Samples that no MTA hands on as they stand: these headers above the first Received go into the trace.
ABOVE = re.compile(rb"(?:(?:Return-Path|Delivered-To|X-Original-To|Envelope-To):[^\r\n]*\r\n)+", re.I)


def sample(name):
    with open(os.path.join(SAMPLES, name + ".eml"), "rb") as file:
        return ABOVE.sub(b"", file.read(), count=1) if name == "headers-above-received" else file.read()


with demo() as server:
    admin = server.imap(server.account("global"))
    names = sorted(n[:-4] for n in os.listdir(SAMPLES) if n.endswith(".eml"))
    with check.part("the signed sample"):
        original = sample("dkim-signed")
        ok(admin.select("Caught"))
        uid = ok(admin.uid("SEARCH", "SUBJECT", '"order 7741"'))[0].split()
        check("the signed sample is in Caught", len(uid) == 1, uid)
        ok(admin.uid("MOVE", uid[0], "Release"))
        check("it arrives", wait_for(lambda: arrived(server.delivered(), original) == 1))
        message = next(m for m in server.delivered() if m.endswith(original))
        try:
            import dkim  # noqa: F401

            check("its DKIM signature verifies after release", verifies(message))
        except ImportError:
            print("skipped: python3-dkim missing")
    with check.part("every sample"):
        ok(admin.select("Caught"))
        keep = [ok(admin.uid("SEARCH", "TO", f'"{who}@example.org"'))[0].split() for who in ("refused", "deferred", "slow")]
        check("each planned failure has its sample", all(len(k) == 1 for k in keep), keep)
        aside = {uid for found in keep for uid in found}
        uids = [u for u in ok(admin.uid("SEARCH", "ALL"))[0].split() if u not in aside]
        ok(admin.uid("MOVE", b",".join(uids), "Release"))
        check("only the planned failures are left", wait_for(lambda: set(ok(admin.uid("SEARCH", "ALL"))[0].split()) == aside))
        outside = {"release-refused", "release-deferred", "release-slow"} | {n for n in names if n.startswith(("outgoing-", "unsure-"))}
        wanted = {n: sample(n) for n in names if n not in outside}
        # DATA cannot carry a dot after a bare LF: the client that hands the samples in doubles it against SMTP smuggling.
        wanted["bare-lf"] = re.sub(rb"(?<!\r)\n\.", b"\n..", wanted["bare-lf"])

        def absent():
            return [n for n, m in wanted.items() if not arrived(server.delivered(), m)]

        wait_for(lambda: not absent(), 60)
        check("every sample arrives with its bytes", not absent(), absent())
        headers = [re.split(rb"\r?\n\r?\n", m, maxsplit=1)[0] for m in server.delivered()]
        check("no mailbox rule takes it for spam", not [h for h in headers if re.search(rb"(?mi)^X-Spam", h)])
        check("what the filter said is still there", sum(b"\nX-Pre-Release-X-Spam" in h for h in headers) >= 2)
    with check.part("failures"):
        for who in ("refused", "deferred", "slow"):
            uid = ok(admin.uid("SEARCH", "TO", f'"{who}@example.org"'))[0].split()[0]
            ok(admin.uid("MOVE", uid, "Release"))
        returned = wait_for(lambda: ok(admin.uid("SEARCH", "KEYWORD", "$ReleaseFailed"))[0].split(), 60)
        check("a refused release comes back to Caught, marked", bool(returned), returned)
        if returned:
            data = ok(admin.uid("FETCH", returned[0], "(BODY.PEEK[HEADER.FIELDS (TO)])"))
            check("it is the refused one", b"refused@example.org" in next(i[1] for i in data if isinstance(i, tuple)))
        check("a slow delivery arrives", wait_for(lambda: arrived(server.delivered(), sample("release-slow")) == 1, 60))
        check("a deferred one has not arrived", arrived(server.delivered(), sample("release-deferred")) == 0)
    admin.logout()
check.finish()
