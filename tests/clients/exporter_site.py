"""`lazaret serve` with doors for filters, and what its commands tell."""
import json
import os
import subprocess
import sys

from lazaret import BINARY, Server, wait_for

TOKEN = "a-password-for-the-exporter"


class Site(Server):
    """`lazaret serve` with two doors for exporters."""

    def __init__(self, home, port, limits="", more=""):
        self.home, self.port = home, port
        self.unix = f"{home}/exporter.sock"
        self.lmtp_door = f"{home}/lmtp.sock"
        os.makedirs(home, exist_ok=True)
        with open(f"{home}/token", "w") as file:
            file.write(TOKEN + "\n")
        self.config = f"{home}/lazaret.toml"
        with open(self.config, "w") as file:
            file.write(f'data = "data"\nhost_name = "mx.test"\n[imap]\ntls = []\nstarttls = []\n[page]\ntls = []\n'
                       f'[[lmtp]]\nlisten = "unix:{self.lmtp_door}"\nclass = "incoming"\nverdict = ["rspamd"]\n'
                       f'[[exporter]]\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\nmax_size = "100 KB"\n'
                       f'[[exporter]]\nlisten = "unix:{self.unix}"\nmarked = "none"\nkind = "policy"\n'
                       f'[domains."example.org"]\n[domains."example.net"]\nrecipients = ["bob"]\n[limits]\n{limits}\n{more}')
        super().__init__("--config", self.config, "serve", wait_json=False)
        if not wait_for(lambda: self.process.poll() is not None or os.path.exists(self.unix), 20) or self.process.poll() is not None:
            sys.exit(f"`lazaret serve` does not answer; its log:\n{self.logged()}")

    def command(self, *words):
        done = subprocess.run([BINARY, "--config", self.config, *words], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def kept(self, scope="global", folder="caught"):
        """What is in a folder, newest first, each with all that is known of it."""
        rows = self.command("list", "--json", "--folder", folder, scope)
        return [self.command("show", "--json", row["id"])[0] for row in rows]

    def original(self, shown):
        """The bytes as they came."""
        with open(shown["file"], "rb") as file:
            return file.read()[shown["trace_bytes"]:]
