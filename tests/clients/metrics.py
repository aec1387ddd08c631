#!/usr/bin/python3
"""/metrics read by the parser of Prometheus' own client, before and after what it counts; /healthz."""
import http.client
import imaplib
import os
import signal
import ssl
import tempfile
import urllib.request

from lazaret import Checks, Server, bring, demo, free_port, marked, wait_for

try:
    from prometheus_client.openmetrics import parser
except ImportError:
    print("skipped: python3-prometheus-client missing", flush=True)
    raise SystemExit(77)

check = Checks()
ALICE = "alice@example.org"


def get(path):
    context = ssl.create_default_context(cafile=server.info["ca"])
    with urllib.request.urlopen(server.info["page"].rstrip("/") + path, context=context, timeout=30) as answer:
        return answer.status, answer.headers, answer.read().decode()


def figures():
    """Samples by name and their one label's value."""
    status, headers, text = get("/metrics")
    check("the type is that of OpenMetrics", status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"))
    samples = [sample for family in parser.text_string_to_metric_families(text) for sample in family.samples]
    check("nobody is named", "alice" not in text and "example.org" not in text, text)
    return {(s.name, next(iter(s.labels.values()), "")): s.value for s in samples}


with demo("--empty") as server:
    before = figures()
    check("nothing is there yet", before["lazaret_messages", "Caught"] == 0 and ("lazaret_queue_oldest_seconds", "") not in before, before)
    bring(server, ["one", "two", "three"])
    account = server.account(ALICE)
    connection = server.imap(account)
    try:
        server.imap({**account, "password": "wrong"})
    except imaplib.IMAP4.error:
        pass
    connection.select("Caught")
    connection.uid("MOVE", "1", "Release")
    check("released mail is counted", wait_for(lambda: figures().get(("lazaret_events_total", "released")) == 1, 30))
    after = figures()
    check("stored", after["lazaret_events_total", "stored"] == 3, after)
    check("kept", after["lazaret_messages", "Caught"] == 2 and after["lazaret_messages_size_bytes", "Caught"] > 100, after)
    check("logins", (after["lazaret_logins_total", "right"], after["lazaret_logins_total", "wrong"]) == (1, 1), after)
    refused = "nobody@unknown.test"
    try:
        server.lmtp("x@far.test", [refused], marked("four"))
    except Exception as error:  # noqa: BLE001 - how the sender is told is another test's affair
        print(f"   told: {error}")
    check("what a door did not take", figures()["lazaret_deferred_total", "unknown-domain"] == 1)
    check("healthy", get("/healthz")[::2] == (200, "ok\n"))
    check("disk", 0 < after["lazaret_disk_free_bytes", ""] <= after["lazaret_disk_size_bytes", ""], after)

# Whoever was not named in the configuration gets what he gets for any other page: the way to the sign-in.
with tempfile.TemporaryDirectory() as home:
    page, lmtp = free_port(), free_port()
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f'data = "{home}/data"\nusers = "{home}/users"\n[imap]\ntls = []\nstarttls = []\n[page]\ntls = []\nplain = ["127.0.0.1:{page}"]\n'
            f'metrics = ["192.0.2.0/24"]\n[[lmtp]]\nlisten = "127.0.0.1:{lmtp}"\nclass = "incoming"\n[domains."example.org"]\n'
        )
    open(f"{home}/users", "w").close()
    with Server("-c", f"{home}/lazaret.toml", "serve", wait_json=False) as quiet:

        def ask(path, **fields):
            connection = http.client.HTTPConnection("127.0.0.1", page, timeout=30)
            connection.request("GET", path, headers=fields)
            answer = connection.getresponse()
            return answer.status, answer.read()

        def answers():
            try:
                return ask("/healthz") == (200, b"ok\n")
            except OSError:
                return False

        check("it is healthy", wait_for(answers))
        check("a stranger gets no figures", ask("/metrics")[0] == 303, ask("/metrics"))
        # The proxy on this machine says who asks.
        def told():
            return ask("/metrics", **{"X-Forwarded-For": "192.0.2.7"})[1]

        check("who is named does", b"lazaret_messages" in told())
        check("nobody gets digests", b"lazaret_digest_next" not in told())
        with open(f"{home}/lazaret.toml", "a") as file:
            file.write('[digest]\nevery = "hour"\n')
        quiet.process.send_signal(signal.SIGHUP)
        check("until the configuration is read again", wait_for(lambda: b"lazaret_digest_next_seconds" in told(), 10), told())
        os.rename(f"{home}/data", f"{home}/gone")
        check("without its data it is not well", wait_for(lambda: ask("/healthz")[0] == 503, 10), ask("/healthz"))
        os.rename(f"{home}/gone", f"{home}/data")
        check("and then it is again", wait_for(answers, 10))
check.finish()
