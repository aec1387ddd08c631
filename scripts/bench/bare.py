#!/usr/bin/python3
"""bare.py DIR WIDTH: seconds a file of a plain loop of write, fsync, rename and fsync of the directory, WIDTH processes at once."""
import os
import shutil
import sys
import time

PLACE, WIDTH, COUNT = sys.argv[1], int(sys.argv[2]), 400
MESSAGE = b"x" * 76 + b"\r\n"
shutil.rmtree(PLACE, ignore_errors=True)
os.makedirs(f"{PLACE}/tmp")
os.makedirs(f"{PLACE}/new")


def some(number):
    directory = os.open(f"{PLACE}/new", os.O_RDONLY)
    for n in range(COUNT):
        name = f"{number}-{n}"
        file = os.open(f"{PLACE}/tmp/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(file, MESSAGE * 200)
        os.fsync(file)
        os.close(file)
        os.rename(f"{PLACE}/tmp/{name}", f"{PLACE}/new/{name}")
        os.fsync(directory)


began = time.perf_counter()
children = []
for number in range(WIDTH):
    pid = os.fork()
    if pid == 0:
        some(number)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
print((time.perf_counter() - began) / (WIDTH * COUNT))
shutil.rmtree(PLACE)
