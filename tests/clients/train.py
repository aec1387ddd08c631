#!/usr/bin/python3
"""Training the real filters: what is dragged to Not Spam and Spam shows in rspamd's and SpamAssassin's own statistics."""
import json
import os
import subprocess
import tempfile

import filters
from lazaret import BINARY, Checks, Server, certificate, free_port, lmtp_send, need, ok, wait_for

need("rspamd", "spamd", "sa-learn", "setpriv")
check = Checks()
ALICE = "alice@example.org"
# Enough different words to learn from.
WORDS = " ".join(f"word{n}of{{}} costs{n * 7}" for n in range(60))


def serve(home, rspamd, spamd):
    imap, lmtp, page = free_port(), free_port(), free_port()
    certificate(f"{home}/tls")
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f'data = "{home}/data"\nusers = "{home}/users"\n[imap]\ntls = ["127.0.0.1:{imap}"]\nstarttls = []\n[page]\ntls = []\n'
            f'[[lmtp]]\nlisten = "127.0.0.1:{lmtp}"\nclass = "incoming"\n[domains."example.org"]\n'
            f'[[sink]]\nname = "rspamd"\nlearns = ["ham", "spam"]\nto = "rspamd"\nurl = "http://127.0.0.1:{rspamd.controller}"\n'
            f'[[sink]]\nname = "spamassassin"\nlearns = ["ham", "spam"]\nto = "spamassassin"\naddress = "127.0.0.1:{spamd.port}"\n'
        )
    subprocess.run([BINARY, "-c", f"{home}/lazaret.toml", "user", "add", ALICE], input=b"lazaret\n", check=True, stdout=subprocess.DEVNULL)
    server = Server("-c", f"{home}/lazaret.toml", "serve", wait_json=False)
    server.info = {"imaps": f"localhost:{imap}", "ca": f"{home}/tls/cert.pem"}
    return server, f"127.0.0.1:{lmtp}"


with filters.Rspamd({"classifier-bayes.conf": filters.BAYES}) as rspamd, filters.Spamd("--allow-tell", config=filters.SA_BAYES) as spamd, tempfile.TemporaryDirectory() as home:
    server, door = serve(home, rspamd, spamd)
    with server:
        wait_for(lambda: filters.listens(int(door.rsplit(":", 1)[1])))
        for mark in ("ham1", "ham2", "spam1"):
            lmtp_send(door, "sender@spam.example", [ALICE], filters.mail(f"mark {mark}", WORDS.format(*[mark] * 60), mark=mark))
        connection = server.imap({"login": ALICE, "password": "lazaret"})
        ok(connection.select("Caught"))
        before = rspamd.learned(), spamd.learned()
        check("nothing is known yet", before == ((0, 0), (0, 0)), before)
        ok(connection.uid("MOVE", "1:2", '"Not Spam"'))
        ok(connection.uid("MOVE", "3", "Spam"))
        check("rspamd learned two as ham and one as spam", wait_for(lambda: rspamd.learned() == (2, 1), 60), rspamd.learned())
        check("SpamAssassin, too", wait_for(lambda: spamd.learned() == (2, 1), 60), spamd.learned())
        # The same message once more, as people do: both say in their own way that they know it, and it is done.
        lmtp_send(door, "sender@spam.example", [ALICE], filters.mail("mark ham1", WORDS.format(*["ham1"] * 60), mark="ham1"))
        def there():
            connection.noop()
            return ok(connection.uid("SEARCH", "ALL"))[0].split()

        check("it came again", wait_for(lambda: len(there()) == 1), there())
        ok(connection.uid("MOVE", there()[-1], '"Not Spam"'))

        def trained():
            events = []
            for name in os.listdir(f"{home}/data/journal"):
                with open(f"{home}/data/journal/{name}") as file:
                    events += [json.loads(line) for line in file]
            return [e for e in events if e["event"].startswith("train")]

        check("each lesson is done in both", wait_for(lambda: len(trained()) == 8, 60), trained())
        check("none failed", all(e["event"] == "trained" for e in trained()), trained())
        # Whether it knew the message is for the filter to say: rspamd's cache of what it learned does not always have it.
        again = rspamd.learned(), spamd.learned()
        check("what is known is not learned as something else", again[0] in ((2, 1), (3, 1)) and again[1] == (2, 1), again)
check.finish()
