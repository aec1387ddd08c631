#!/usr/bin/env python3
"""make.py FOLDER: writes hostile mails into FOLDER, one file each (NAME.eml), the same ones at every run.

Each tries to run a script (`window.xss=1`, `parent.xss=1`) or to have something loaded from
http://canary.invalid/NAME. How to use them:

  * Deliver them (LMTP, `lazaret deposit`, or as files into drop/new), open each message's page, its frame with the HTML,
    its whole text and its source in a browser, press every key that a reader may press, and wait a moment.
  * None may leave `window.xss` defined in any frame, open a dialog or window, or change the page's address.
  * The browser's request log must hold requests to our own server only. `canary.invalid` resolves nowhere, so the log of
    requests that were tried is the check, not that of requests that were answered.
  * What a mail says must still be readable: a page that is empty is no success.

HTML vectors are those of html.txt, which the unit tests of src/page/sanitise read too.
"""

import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CANARY = "http://canary.invalid/"


def vectors():
    with open(os.path.join(HERE, "html.txt"), encoding="utf-8") as file:
        sections = file.read().split("\n=== ")[1:]
    for section in sections:
        name, html = section.split("\n", 1)
        yield name, raw(html.replace("CANARY", CANARY + name))


def raw(html):
    """The bytes: @NUL@ is a NUL, @B:c0bc@ are bytes that are no UTF-8."""
    pieces = html.replace("@NUL@", "@B:00@").replace("@FF@", "@B:0c@").split("@B:")
    out = pieces[0].encode()
    for piece in pieces[1:]:
        digits, rest = piece.split("@", 1)
        out += bytes.fromhex(digits) + rest.encode()
    return out


def header(name, subject=None, more=b"", sender=b"Eve <eve@canary.invalid>", to=b"alice@example.org"):
    subject = name.encode() if subject is None else subject
    return (b"From: " + sender + b"\r\nTo: " + to + b"\r\nSubject: " + subject + b"\r\n"
            b"Date: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: <" + name.encode() + b"@canary.invalid>\r\n"
            b"MIME-Version: 1.0\r\n" + more)


def lines(body):
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def page(name, html, content=b'text/html; charset="utf-8"'):
    return header(name, more=b"Content-Type: " + content + b"\r\nContent-Transfer-Encoding: 8bit\r\n") + b"\r\n" + lines(html)


def multipart(name, parts, kind=b"mixed", boundary=b"b"):
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    more = b"Content-Type: multipart/" + kind + b"; boundary=\"" + boundary + b"\"\r\n"
    return header(name, more=more) + b"\r\n" + body + b"--" + boundary + b"--\r\n"


def part(content, body, more=b""):
    return b"Content-Type: " + content + b"\r\n" + more + b"\r\n" + body


def bad(name):
    return f"<img src={CANARY}{name} onerror=window.xss=1>".encode()


def word(text, how="b", charset="utf-8"):
    """An encoded word; 75 bytes are what RFC 2047 allows, and senders do not care."""
    data = text if isinstance(text, bytes) else text.encode()
    if how == "q":
        return b"=?" + charset.encode() + b"?q?" + b"".join(b"=%02X" % byte for byte in data) + b"?="
    return b"=?" + charset.encode() + b"?b?" + base64.b64encode(data) + b"?="


def fields():
    """Hostile text in each header field, in each way to write it."""
    for field in ("subject", "sender-name", "sender-address", "to-name", "to-address", "date"):
        for how in ("plain", "encoded", "quoted", "break", "bidi"):
            name = f"field-{field}-{how}"
            text = {
                "plain": bad(name),
                "encoded": word(bad(name)),
                "quoted": b"\"><script>window.xss=1</script>" + word(b"\"'>" + bad(name), "q"),
                "break": word(b"x\r\nX-Injected: 1\r\n\r\n" + bad(name)) + b"\r\n\t" + word(b"\0\x1b[31m</title><script>window.xss=1</script>"),
                "bidi": word("\u202e" + bad(name).decode() + "\u2066gnp.\u200b"),
            }[how]
            end = b"Content-Type: text/plain\r\n"
            if field == "subject":
                head = header(name, subject=text, more=end)
            elif field == "sender-name":
                head = header(name, sender=(b"\"" + text.replace(b"\"", b"\\\"") + b"\" " if how == "plain" else text + b" ") + b"<eve@canary.invalid>", more=end)
            elif field == "sender-address":
                head = header(name, sender=b"<\"" + text.replace(b"\"", b"\\\"") + b"\"@canary.invalid>", more=end)
            elif field == "to-name":
                head = header(name, to=text + b" <alice@example.org>, alice@example.org", more=end)
            elif field == "to-address":
                head = header(name, to=b"<" + text + b"@example.org>", more=end)
            else:
                head = header(name, more=end).replace(b"Mon, 02 Jan 2006 15:04:05 +0000", b"Mon, 02 Jan 2006 15:04:05 +0000 (" + text + b")")
            yield name, head + b"\r\nThe header is the attack.\r\n"


def forged():
    """Fields that a page might believe."""
    claims = {
        "forged-trace": b"X-Lazaret-Id: <script>window.xss=1</script>\r\nX-Lazaret-Reason: GTUBE(1)[<script>window.xss=1</script>]\r\n",
        "forged-authentication": b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=\"<script>window.xss=1</script>\"; dmarc=pass header.from=bank.example\r\n",
        "forged-authentication-html": b"Authentication-Results: <script>window.xss=1</script>; <b>=<script>window.xss=1</script>\r\n",
        "forged-spam-status": b"X-Spam-Status: No, score=-99 tests=<script>window.xss=1</script>\r\n",
        "forged-message-id": b"Message-ID: <\"><script>window.xss=1</script>@x>\r\n",
        "forged-list-unsubscribe": b"List-Unsubscribe: <javascript:window.xss=1>, <" + CANARY.encode() + b"unsubscribe>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "forged-receipt": b"Disposition-Notification-To: <eve@canary.invalid>\r\nReturn-Receipt-To: eve@canary.invalid\r\n",
        "forged-face": b"X-Face: <script>window.xss=1</script>\r\nX-Image-URL: " + CANARY.encode() + b"face\r\nBIMI-Location: v=BIMI1; l=" + CANARY.encode() + b"bimi.svg\r\n",
        "forged-content-location": b"Content-Location: " + CANARY.encode() + b"base/\r\nContent-Base: " + CANARY.encode() + b"base/\r\n",
        "forged-link-header": b"Link: <" + CANARY.encode() + b"link>; rel=preload\r\nRefresh: 0;url=" + CANARY.encode() + b"refresh\r\nSet-Cookie: x=y\r\n",
    }
    for name, more in claims.items():
        yield name, header(name, more=more + b"Content-Type: text/plain\r\n") + b"\r\nBelieve me.\r\n"


NAMES = {
    "traversal": b"../../../../etc/cron.d/x",
    "traversal-windows": b"..\\..\\windows\\system32\\x.exe",
    "traversal-encoded": b"%2e%2e%2f%2e%2e%2fx",
    "absolute": b"/etc/passwd",
    "drive": b"C:\\autoexec.bat",
    "device": b"CON.txt",
    "dots": b"....",
    "empty": b"",
    "html": b"<img src=x onerror=window.xss=1>.png",
    "quote": b"x\\\" onmouseover=\\\"window.xss=1.png",
    "script": b"</a><script>window.xss=1</script>.pdf",
    "javascript": b"javascript:window.xss=1",
    "double": b"invoice.pdf.exe",
    "spaces": b"invoice.pdf" + b" " * 100 + b".exe",
    "long": b"a" * 900 + b".pdf.exe",
    "utf8": "Übersicht-пример-例.pdf".encode(),
    "latin1": "Übersicht.pdf".encode("latin-1"),
    "8bit": b"\xff\xfe\x80.pdf",
    "nul": b"a.pdf\0.exe",
    "lookalike": "invoice․pdf.exe".encode(),
    "format": b"%s%n%x%00.txt",
    "semicolon": b"a;filename=b.exe;.txt",
}


def attachments():
    for kind, text in NAMES.items():
        name = f"file-name-{kind}"
        body = part(b"application/octet-stream; name=\"" + text + b"\"", b"x",
                    b"Content-Disposition: attachment; filename=\"" + text + b"\"\r\n")
        yield name, multipart(name, [part(b"text/plain", b"See the attachment."), body])
    extended = {
        "bidi": b"utf-8''invoice%E2%80%AEfdp.exe",
        "break": b"utf-8''x%0D%0ASet-Cookie:%20x=y%0D%0A%0D%0A%3Cscript%3Ewindow.xss=1%3C/script%3E.html",
        "utf7": b"utf-7''+ADw-script+AD4-window.xss=1+ADw-/script+AD4-.html",
        "slash": b"utf-8''..%2F..%2Fx",
        "broken": b"utf-8'%E2%80",
        "charset": b"<script>''x",
    }
    for kind, text in extended.items():
        name = f"file-name-extended-{kind}"
        body = part(b"text/html", bad(name), b"Content-Disposition: attachment; filename*=" + text + b"\r\n")
        yield name, multipart(name, [part(b"text/plain", b"See the attachment."), body])
    split = b"Content-Disposition: attachment;\r\n filename*0*=utf-8''%3Cscr;\r\n filename*1=\"ipt>window.xss=1<\";\r\n filename*2*=%2Fscript%3E.html\r\n"
    yield "file-name-split", multipart("file-name-split", [part(b"text/html", bad("file-name-split"), split)])
    types = {
        "html": b"text/html", "svg": b"image/svg+xml", "xhtml": b"application/xhtml+xml", "xml": b"text/xml",
        "xslt": b"text/xsl", "javascript": b"text/javascript", "css": b"text/css", "pdf": b"application/pdf",
        "flash": b"application/x-shockwave-flash", "mhtml": b"multipart/x-mixed-replace", "calendar": b"text/calendar; method=REQUEST",
        "vcard": b"text/vcard", "wasm": b"application/wasm", "break": b"text/html\"><script>window.xss=1</script>", "none": b"",
    }
    for kind, content in types.items():
        name = f"type-{kind}"
        body = (b"<?xml version=\"1.0\"?><?xml-stylesheet href=\"" + CANARY.encode() + name.encode() + b"\"?>"
                b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"window.xss=1\"><script>window.xss=1</script></svg>")
        yield name, multipart(name, [part(b"text/plain", b"See the attachment."), part(content, body, b"Content-Disposition: attachment; filename=x\r\n")])


def tricks():
    """How a mail is put together."""
    b64 = base64.b64encode
    for name, content, body in (
        ("mime-utf7", b"text/html; charset=utf-7", b"+ADw-img src=" + CANARY.encode() + b"mime-utf7 onerror+AD0-window.xss+AD0-1+AD4-"),
        ("mime-utf16", b"text/html; charset=utf-16", ("\ufeff" + bad("mime-utf16").decode()).encode("utf-16-le")),
        ("mime-utf16-unmarked", b"text/html; charset=utf-16be", bad("mime-utf16-unmarked").decode().encode("utf-16-be")),
        ("mime-iso-2022-jp", b"text/html; charset=iso-2022-jp", b"<div title=\"\x1b$B\" title=\">" + bad("mime-iso-2022-jp") + b"\x1b(B\">"),
        ("mime-hz", b"text/html; charset=hz-gb-2312", b"~{" + bad("mime-hz") + b"~}"),
        ("mime-shift-jis", b"text/html; charset=shift_jis", b"<img alt=\"\x81\" src=x onerror=window.xss=1>"),
        ("mime-x-user-defined", b"text/html; charset=x-user-defined", b"\xbcscript\xbewindow.xss=1\xbc/script\xbe"),
        ("mime-ebcdic", b"text/html; charset=cp037", bad("mime-ebcdic").decode().encode("cp037")),
        ("mime-charset-break", b"text/html; charset=\"utf-8\\\"><script>window.xss=1</script>\"", bad("mime-charset-break")),
        ("mime-charset-twice", b"text/html; charset=utf-8; charset=utf-7", b"+ADw-script+AD4-window.xss=1+ADw-/script+AD4-"),
        ("mime-plain-html", b"text/plain", bad("mime-plain-html")),
        ("mime-plain-sniffed", b"text/plain; charset=utf-8", b"<!DOCTYPE html><html>" + bad("mime-plain-sniffed")),
        ("mime-no-type", b"", bad("mime-no-type")),
        ("mime-broken-type", b"text/html text/plain", bad("mime-broken-type")),
        ("mime-richtext", b"text/enriched", b"<bold>" + bad("mime-richtext")),
        ("mime-amp", b"text/x-amp-html", b"<!doctype html><html amp4email><script async src=" + CANARY.encode() + b"mime-amp></script>"),
        ("mime-delivery-status", b"message/delivery-status", b"Reporting-MTA: dns;" + bad("mime-delivery-status")),
        ("mime-external-body", b"message/external-body; access-type=URL; URL=\"" + CANARY.encode() + b"mime-external-body\"", b"Content-Type: text/html\r\n\r\n"),
        ("mime-partial", b"message/partial; id=x; number=1; total=1", b"Content-Type: text/html\r\n\r\n" + bad("mime-partial")),
        ("mime-encrypted", b"application/pkcs7-mime; smime-type=enveloped-data", bad("mime-encrypted")),
    ):
        yield name, header(name, more=b"Content-Type: " + content + b"\r\n") + b"\r\n" + body + b"\r\n"
    for name, encoding, body in (
        ("encoding-base64", b"base64", b64(bad("encoding-base64"))),
        ("encoding-base64-dirty", b"base64", b"*".join(b64(bad("encoding-base64-dirty"))[i:i + 4] for i in range(0, 80, 4))),
        ("encoding-quoted", b"quoted-printable", b"".join(b"=%02X" % byte for byte in bad("encoding-quoted"))),
        ("encoding-quoted-soft", b"quoted-printable", b"<im=\r\ng src=3Dx oner=\r\nror=3Dwindow.xss=3D1>"),
        ("encoding-unknown", b"x-uuencode", bad("encoding-unknown")),
        ("encoding-break", b"base64\"><script>window.xss=1</script>", bad("encoding-break")),
    ):
        yield name, header(name, more=b"Content-Type: text/html\r\nContent-Transfer-Encoding: " + encoding + b"\r\n") + b"\r\n" + body + b"\r\n"
    html = b"text/html; charset=utf-8"
    for name, kind, parts in (
        ("related-cid", b"related", [part(html, b"<img src=cid:a><iframe src=cid:b></iframe><link rel=stylesheet href=cid:c>"),
                                     part(b"image/svg+xml", b"<svg onload=window.xss=1>", b"Content-ID: <a>\r\n"),
                                     part(b"text/html", b"<script>parent.xss=1</script>", b"Content-ID: <b>\r\n"),
                                     part(b"text/css", b"@import \"" + CANARY.encode() + b"related-cid\";", b"Content-ID: <c>\r\n")]),
        ("related-location", b"related", [part(html, b"<img src=\"x.png\">", b"Content-Location: " + CANARY.encode() + b"related-location/\r\n")]),
        ("related-cid-break", b"related", [part(html, b"<img src='cid:\"><script>window.xss=1</script>'>"), part(b"image/png", b"x", b"Content-ID: <\"><script>window.xss=1</script>>\r\n")]),
        ("alternative-hidden", b"alternative", [part(b"text/plain", b"Harmless."), part(html, bad("alternative-hidden"))]),
        ("alternative-two-html", b"alternative", [part(html, b"first"), part(html, bad("alternative-two-html"))]),
        ("image-is-html", b"mixed", [part(b"image/png; name=x.png", bad("image-is-html"), b"Content-Disposition: inline\r\n")]),
        ("html-attached-inline", b"mixed", [part(b"text/plain", b"x"), part(html, bad("html-attached-inline"), b"Content-Disposition: inline; filename=x.html\r\n")]),
        ("nested-message", b"mixed", [part(b"message/rfc822", b"Subject: <script>window.xss=1</script>\r\nContent-Type: text/html\r\n\r\n" + bad("nested-message"))]),
        ("nested-message-encoded", b"mixed", [part(b"message/rfc822", b64(b"Content-Type: text/html\r\n\r\n" + bad("nested-message-encoded")), b"Content-Transfer-Encoding: base64\r\n")]),
        ("part-header-break", b"mixed", [b"Content-Type: text/html\r\nContent-Description: <script>window.xss=1</script>\r\nContent-Language: \"><script>\r\n\r\n" + bad("part-header-break")]),
    ):
        yield name, multipart(name, parts, kind)
    yield "boundary-html", multipart("boundary-html", [part(html, bad("boundary-html"))], boundary=b"<script>window.xss=1</script>")
    yield "boundary-missing", header("boundary-missing", more=b"Content-Type: multipart/mixed\r\n") + b"\r\n" + bad("boundary-missing")
    deep = part(html, bad("deep-parts"))
    for level in range(80):
        mark = b"d%d" % level
        deep = part(b"multipart/mixed; boundary=" + mark, b"--" + mark + b"\r\n" + deep + b"\r\n--" + mark + b"--\r\n")
    yield "deep-parts", multipart("deep-parts", [deep])
    yield "deep-html", page("deep-html", b"<div>" * 100_000 + bad("deep-html"))
    yield "deep-quotes", page("deep-quotes", b"<blockquote><font color=a>" * 30_000 + bad("deep-quotes"))
    yield "many-ampersands", page("many-ampersands", b"&" * 500_000)
    yield "many-links", page("many-links", b"<a href=javascript:window.xss=1>x</a>" * 10_000)
    yield "many-parts", multipart("many-parts", [part(html, bad("many-parts"))] * 2_000)
    yield "bare-line-feeds", page("bare-line-feeds", bad("bare-line-feeds")).replace(b"\r\n", b"\n")
    yield "bare-returns", page("bare-returns", bad("bare-returns")).replace(b"\r\n", b"\r")
    yield "header-only", header("header-only", subject=bad("header-only"))
    yield "no-header", b"\r\n" + bad("no-header")
    yield "text-bidi", header("text-bidi", more=b"Content-Type: text/plain; charset=utf-8\r\n") + "\r\n\u202eevil\u202c \u2066\u2067x\r\nhttps://bank.example@canary.invalid/\r\n".encode()
    yield "text-links", header("text-links", more=b"Content-Type: text/plain\r\n") + b"\r\njavascript:window.xss=1 " + CANARY.encode() + b"text-links \"><script>window.xss=1</script>\r\n"
    yield "text-escape", header("text-escape", more=b"Content-Type: text/plain\r\n") + b"\r\n\x1b]0;x\x07\x1b[31m\x9b\0</pre><script>window.xss=1</script>\r\n"


REASONS = """<script>window.xss=1</script>
<img src=CANARY onerror=window.xss=1>
1.5 <script>window.xss=1</script> "'>x
1 </td></tr></table><script>window.xss=1</script>
‮SYMBOL(1)[‮⁦]
javascript:window.xss=1
""".replace("CANARY", CANARY + "reason")


def reasons():
    """What a filter says of a mail has pieces of the mail in it: names and words of its rules in the fields of rspamd and of
    SpamAssassin, which the demonstration's doors believe."""
    for number, line in enumerate(REASONS.splitlines()):
        line = line.encode()
        spamd = b"X-Spamd-Result: default: True [20.00 / 15.00];\r\n\tGTUBE(1.00)[" + line + b"];\r\n\t" + line + b"(5.00)[x];\r\n\tRULE(1.00)[]\r\n"
        yield f"reason-rspamd-{number}", header(f"reason-rspamd-{number}", more=spamd) + b"\r\nx\r\n"
        report = b"X-Spam-Report: \r\n\t*  5.0 RULE_A " + line + b"\r\n\t*  1.0 " + line + b"\r\n"
        status = b"X-Spam-Status: Yes, score=9.0 required=5.0 tests=RULE_A," + line + b"\r\n"
        yield f"reason-spamassassin-{number}", header(f"reason-spamassassin-{number}", more=report + status) + b"\r\nx\r\n"


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    written = {}
    for name, html in vectors():
        written[f"html-{name}"] = page(f"html-{name}", html)
    for make in (fields, forged, attachments, tricks, reasons):
        for name, mail in make():
            assert name not in written, name
            written[name] = mail
    for name, mail in written.items():
        with open(os.path.join(folder, name + ".eml"), "wb") as file:
            file.write(mail)
    print(f"{len(written)} mails")


main()
