"""Mail sent by swaks, bytes as they are, and what its sender is told."""
import os
import re
import subprocess
import tempfile


class Told:
    """The answers to one transaction: `code` and `text` to the message, `refused` to single recipients, by address."""

    def __init__(self, transcript):
        self.transcript, self.code, self.text, self.refused = transcript, 0, "", {}
        asked = "CONNECT"
        for line in transcript.splitlines():
            if sent := re.match(r" ~?> ?(.*)| -> ?(.*)", line):
                asked = sent[2] or sent[1] or ""
            elif (answer := re.match(r"<(?:-|~|\*\*|\*~) +(\d{3})([ -])(.*)", line)) and answer[2] == " ":
                code, text = int(answer[1]), answer[3]
                if asked.startswith("RCPT TO:") and code >= 400:
                    self.refused[asked[9:].strip("<>")] = (code, text)
                if asked == "." or code >= 400 and not asked.startswith("RCPT TO:"):
                    self.code, self.text = code, text
        if not self.code and self.refused:
            self.code, self.text = list(self.refused.values())[-1]

    def __str__(self):
        return f"{self.code} {self.text} {self.refused or ''}\n{self.transcript}"


def send(port, message, recipients, sender="sender@spam.example"):
    """Sends one message to a port of this machine; what was told."""
    with tempfile.NamedTemporaryFile(prefix="swaks-") as file:
        file.write(re.sub(rb"(^|\r\n)\.", rb"\1..", message) + b".")  # swaks ends the line
        file.flush()
        command = ["swaks", "--server", "127.0.0.1", "--port", str(port), "--helo", "client.spam.example", "--from", sender]
        command += ["--to", ",".join(recipients), "--data", f"@{file.name}", "--no-data-fixup", "--timeout", "120s"]
        done = subprocess.run(command, capture_output=True, timeout=300, env={**os.environ, "LC_ALL": "C"})
    return Told((done.stdout + done.stderr).decode(errors="replace"))
