#!/usr/bin/python3
"""What the disk and the kernel cost alone: seconds a file.

bare.py DIR WIDTH     a plain loop of write, fsync, rename and fsync of the directory, WIDTH processes at once; DIR is made anew
bare.py DIR renames   a plain loop that gives every file in DIR another name; all have their own again afterwards
"""
import os
import shutil
import sys
import time

PLACE = sys.argv[1]
if sys.argv[2] == "renames":
    directory = os.open(PLACE, os.O_RDONLY)
    names = [(name, f"{name}F") for name in os.listdir(directory)]
    began = time.perf_counter()
    for name, other in names:
        os.rename(name, other, src_dir_fd=directory, dst_dir_fd=directory)
    print((time.perf_counter() - began) / len(names))
    for name, other in names:
        os.rename(other, name, src_dir_fd=directory, dst_dir_fd=directory)
    sys.exit()

WIDTH, COUNT = int(sys.argv[2]), 400
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
