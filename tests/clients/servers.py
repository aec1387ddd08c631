"""Programs of others that stand on the far side: a mail server that keeps what it is sent, OpenSMTPD, rspamd's learning API."""
import http.server
import os
import subprocess
import sys
import threading
import time

from lazaret import free_port

sys.path.append("/usr/lib/python3/dist-packages")


class MailServer:
    """aiosmtpd on a port of its own; `mail` holds (sender, recipients, bytes). A recipient `refused@…` gets 550, `deferred@…` 451."""

    def __init__(self):
        from aiosmtpd.controller import Controller

        self.mail, self.options, self.port = [], [], free_port()
        keep = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address.startswith("refused@"):
                    return "550 5.1.1 no such user"
                if address.startswith("deferred@"):
                    return "451 4.3.0 later"
                envelope.rcpt_tos.append(address)
                keep.options.append((address, options))
                return "250 2.1.5 ok"

            async def handle_DATA(self, server, session, envelope):
                keep.mail.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
                return "250 2.0.0 kept"

        self.controller = Controller(Handler(), hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True, data_size_limit=0)
        self.controller.start()

    def messages(self):
        return [message for _, _, message in list(self.mail)]

    def stop(self):
        self.controller.stop()


class OpenSmtpd:
    """Debian's OpenSMTPD as a relay in front of another port. Needs root; its queue is the system's."""

    def __init__(self, folder, behind):
        self.port = free_port()
        config = os.path.join(folder, "smtpd.conf")
        with open(config, "w") as file:
            file.write(
                f'queue ttl 1h\nlisten on 127.0.0.1 port {self.port}\naction pass relay host "smtp://127.0.0.1:{behind}"\n'
                "match from any for any action pass\n"
            )
        self.log = open(os.path.join(folder, "smtpd.log"), "w")
        self.process = subprocess.Popen(["/usr/sbin/smtpd", "-d", "-f", config], stdout=self.log, stderr=self.log)
        time.sleep(1)
        if self.process.poll() is not None:
            raise RuntimeError(f"OpenSMTPD did not start: {open(self.log.name).read()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class Rspamd:
    """rspamd's learning API with its odd answers: the first message of a kind is learned (200), known ones get 208 or 404."""

    def __init__(self, password="q1"):
        self.learned, self.refused, self.port = {"ham": [], "spam": []}, 0, free_port()
        keep = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                what = {"/learnham": "ham", "/learnspam": "spam"}.get(self.path)
                if self.headers.get("Password") != password:
                    keep.refused += 1
                    return self.reply(401, '{"error":"unauthorized"}')
                if what is None:
                    return self.reply(404, '{"error":"no such command"}')
                if message in keep.learned[what]:
                    code = 208 if len(keep.learned[what]) % 2 else 404
                    return self.reply(code, f'{{"error":"<m@x> has been already learned as {what}, ignore it"}}')
                keep.learned[what].append(message)
                if b"204" in message:
                    # As rspamd does: a body, although 204 has none.
                    return self.reply(204, '{"error":"message has too few tokens"}')
                return self.reply(200, '{"success":true}')

            def reply(self, code, text):
                self.send_response(code, text)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
