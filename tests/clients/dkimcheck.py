#!/usr/bin/python3
"""Whether the DKIM signature of a message verifies, by dkimpy, with the sample's public key in place of DNS.

    dkimcheck.py FILE...     also `from dkimcheck import verifies`
"""
import os
import sys

sys.path.append("/usr/lib/python3/dist-packages")
KEY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../mail/dkim-public-key.txt")


def verifies(message):
    """True when the first signature of the message holds."""
    import dkim

    with open(KEY, "rb") as file:
        record = file.read().strip()
    asked = []

    def dns(name, timeout=5):
        asked.append(name.rstrip(b"."))
        return record

    return dkim.verify(message, dnsfunc=dns) and asked == [b"lazaret._domainkey.shop.example"]


if __name__ == "__main__":
    good = True
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            held = verifies(file.read())
        print(f"{path}: {'verifies' if held else 'DOES NOT VERIFY'}")
        good = good and held
    sys.exit(0 if good else 1)
