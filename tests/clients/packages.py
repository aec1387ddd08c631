"""Debian packages that exclude each other, or change the machine when they are installed: taken out of their files into a
folder. The files are kept in target/clients, so that they are fetched once."""
import fcntl
import glob
import os
import shutil
import subprocess

from lazaret import ROOT

KEPT = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "clients")


def unpack(folder, *packages):
    """Unpacks the packages there; "", or why one cannot be had."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return "there is no apt-get"
    kept = KEPT
    try:
        os.makedirs(KEPT, exist_ok=True)
    except PermissionError:
        kept = ""
    if not kept or not os.access(kept, os.W_OK):  # a tree of somebody else's: fetched each time
        kept = os.path.join(folder, "packages")
        os.makedirs(kept, exist_ok=True)
    with open(os.path.join(kept, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lacking = [name for name in packages if not glob.glob(f"{kept}/{name}_*.deb")]
        if lacking:
            command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *lacking]
            got = subprocess.run(command, cwd=kept, capture_output=True, text=True, timeout=300)
            if got.returncode:
                return f"{' '.join(lacking)}: {(got.stderr.strip().splitlines() or ['apt-get download fails'])[-1]}"
    for name in packages:
        subprocess.run(["dpkg", "-x", sorted(glob.glob(f"{kept}/{name}_*.deb"))[-1], folder], check=True)
    return ""


def libraries(folder):
    """Where the libraries lie that were unpacked, for LD_LIBRARY_PATH."""
    return ":".join(sorted({os.path.dirname(path) for path in glob.glob(f"{folder}/usr/lib/**/lib*.so*", recursive=True)}))
