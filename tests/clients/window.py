"""A mail program's window on a display of its own: Xvfb, a window manager, real mouse and keys (xdotool), screenshots. Where
a thing lies in the window is asked of the program itself (Marionette, Mozilla's port for that); what is done with it is not.
"""
import json
import os
import socket
import subprocess
import time

from lazaret import free_port, wait_for


class Display:
    """Xvfb with openbox: drag and drop needs a window manager."""

    def __init__(self, shots, size=(1280, 800)):
        self.shots, self.size, self.count = shots, size, 0
        os.makedirs(shots, exist_ok=True)
        read, write = os.pipe()
        self.xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp"],
            pass_fds=[write], stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as number:
            self.name = ":" + number.readline().strip()
        self.env = {**os.environ, "DISPLAY": self.name}
        self.manager = subprocess.Popen(["openbox"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def do(self, *arguments):
        """One xdotool command."""
        done = subprocess.run(["xdotool", *map(str, arguments)], env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def shot(self, name):
        """A screenshot, numbered; its path."""
        self.count += 1
        path = os.path.join(self.shots, f"{self.count:02d}-{name}.png")
        subprocess.run(["import", "-window", "root", path], env=self.env, check=True, timeout=60)
        return path

    def titles(self):
        """The titles of all windows that can be seen."""
        windows = self.do("search", "--onlyvisible", "--name", ".").split()
        return [t for t in (self.do("getwindowname", w) for w in windows) if t]

    def click(self, x, y, button=1, times=1):
        self.do("mousemove", round(x), round(y))
        time.sleep(0.1)
        self.do("click", "--repeat", times, "--delay", 80, button)
        time.sleep(0.3)

    def key(self, *keys):
        self.do("key", "--clearmodifiers", *keys)
        time.sleep(0.3)

    def type(self, text):
        self.do("type", "--delay", 20, text)
        time.sleep(0.2)

    def drag(self, start, end):
        """Button down, small steps, button up: a drag as GTK takes it."""
        (x, y), (to_x, to_y) = start, end
        self.do("mousemove", round(x), round(y))
        time.sleep(0.3)
        self.do("mousedown", 1)
        time.sleep(0.3)
        for step in range(1, 5):  # past the threshold, slowly
            self.do("mousemove", round(x + 4 * step), round(y + 2 * step))
            time.sleep(0.05)
        steps = 20
        for step in range(1, steps + 1):
            self.do("mousemove", round(x + (to_x - x) * step / steps), round(y + (to_y - y) * step / steps))
            time.sleep(0.03)
        for nudge in (1, 0, 1, 0):
            self.do("mousemove", round(to_x) + nudge, round(to_y))
            time.sleep(0.15)
        self.do("mouseup", 1)
        time.sleep(0.5)

    def stop(self):
        for process in (self.manager, self.xvfb):
            process.terminate()
            process.wait(20)


class Marionette:
    """The port through which Mozilla programs tell about their own windows."""

    def __init__(self, port, seconds=90):
        self.port, self.id = port, 0
        self.socket = wait_for(self._connect, seconds)
        if not self.socket:
            raise RuntimeError("the program did not open its Marionette port")
        self._read()
        self.say("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": "ignore"}}})
        self.say("Marionette:SetContext", {"value": "chrome"})

    def _connect(self):
        try:
            return socket.create_connection(("127.0.0.1", self.port), 20)
        except OSError:
            return None

    def _read(self):
        head = b""
        while not head.endswith(b":"):
            piece = self.socket.recv(1)
            if not piece:
                raise RuntimeError("Marionette closed the connection")
            head += piece
        left, text = int(head[:-1]), b""
        while len(text) < left:
            text += self.socket.recv(left - len(text))
        return json.loads(text)

    def say(self, command, parameters):
        self.id += 1
        line = json.dumps([0, self.id, command, parameters]).encode()
        self.socket.sendall(str(len(line)).encode() + b":" + line)
        _, _, error, answer = self._read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return answer

    def run(self, script, *arguments):
        """The value of a script in the window."""
        answer = self.say("WebDriver:ExecuteScript", {"script": script, "args": list(arguments), "newSandbox": True})
        return answer["value"]

    def close(self):
        try:
            self.say("WebDriver:DeleteSession", {})
        finally:
            self.socket.close()


def marionette_port():
    return free_port()
