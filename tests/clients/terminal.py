"""A program in a terminal of its own (tmux): what it shows, and keys for it."""
import os
import re
import subprocess
import time

from lazaret import wait_for


class Terminal:
    """`name` tells terminals of one test apart. As a context manager the program ends with it."""

    def __init__(self, name, command):
        self.socket = f"lazaret-{name}-{os.getpid()}"
        self.tmux("new-session", "-d", "-s", "it", "-x", "120", "-y", "40", f"env TERM=screen LC_ALL=C.UTF-8 {command}")

    def tmux(self, *arguments):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "it")

    def shows(self, pattern, seconds=15):
        """The text that fits, or "" when none does in time."""
        found = wait_for(lambda: re.search(pattern, self.screen()), seconds)
        return found.group(0) if found else ""

    def keys(self, *arguments):
        """Types; Enter and C-u are keys, anything else is text."""
        for argument in arguments:
            self.tmux("send-keys", "-t", "it", *([argument] if argument in ("Enter", "C-u") else ["-l", argument]))
            time.sleep(0.25)

    def ended(self):
        return "it" not in self.tmux("list-sessions", "-F", "#{session_name}").split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
