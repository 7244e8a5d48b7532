# SPDX-License-Identifier: Apache-2.0
"""What is told is what the kernel took: strings that change, addresses that change, arguments that do not fit."""
import hashlib
import os
import shutil

import pytest

from tests.conftest import BUILD


def fnv1a64w(data):
    """As supervisor/PROTOCOL.md has it."""
    h = 0xcbf29ce484222325
    for i in range(0, len(data), 8):
        h = ((h ^ int.from_bytes(data[i:i + 8].ljust(8, b"\0"), "little")) * 0x100000001b3) & (1 << 64) - 1
    return f"fnv1a64w:{h:016x}"


@pytest.mark.parametrize("length", [100, 4096, 8100])
def test_arguments_up_to_eight_kilobytes_are_whole(box, length):
    r = box.run("/bin/true", "x" * length, "last")
    last = r.kinds("proc.exec")[-1]
    assert last["argv"] == ["/bin/true", "x" * length, "last"] and "argv_cut" not in last


@pytest.mark.parametrize("words", [1, 7, 1000])
def test_of_longer_ones_the_length_and_a_hash_of_all_is_told(box, words):
    argv = ["/bin/true", *["y" * (120000 // words)] * words, "end"]
    r = box.run("/usr/bin/python3", "-c", f"import os\nos.execv('/bin/true', {['/bin/true']} + ['y' * {120000 // words}] * {words} + ['end'])")
    last = r.kinds("proc.exec")[-1]
    raw = b"".join(a.encode() + b"\0" for a in argv)
    assert last["argv_cut"] and last["argv_bytes"] == len(raw) and last["argv_hash"] == fnv1a64w(raw)
    assert last["argv"][0] == "/bin/true" and len("\0".join(last["argv"])) >= 8000


def test_two_megabytes_of_arguments(box):
    raw = b"/bin/true\0" + b"".join(b"z" * 100000 + b"\0" for _ in range(19))
    r = box.py("import os\nos.execv('/bin/true', ['/bin/true'] + ['z' * 100000] * 19)")
    last = r.kinds("proc.exec")[-1]
    assert last["argv_bytes"] == len(raw) and last["argv_hash"] == fnv1a64w(raw)


def test_the_program_has_device_and_inode(box):
    r = box.run("/bin/true")
    st = os.stat("/usr/bin/true")
    e = r.kinds("proc.exec")[-1]
    assert (e["exe_dev"], e["exe_ino"]) == (f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}", st.st_ino)


def test_a_copy_is_another_file_under_any_name(box):
    r = box.sh("cp /bin/true t1; ln t1 t2; ./t1; ./t2; mv t2 ls; ./ls")
    ran = [e for e in r.kinds("proc.exec") if e["exe"].startswith(str(box.ws))]
    assert len(ran) == 3 and len({(e["exe_dev"], e["exe_ino"]) for e in ran}) == 1


def test_a_path_that_changes_is_flagged(box):
    shutil.copy(BUILD / "stimuli" / "flips_path", box.ws / "flips_path")
    (box.base / "p.json").write_text('{"watch": {"compare": true}}')
    r = box.run("./flips_path", "3000", options=["-p", box.base / "p.json", "--discard"])
    assert r.code == 0, r.err
    made = r.kinds("file.mkdir")
    assert len(made) == int(r.out) and all("toctou" in e for e in made)
    # two processors change it faster than a call is made: some must be seen, and not all are
    assert any(e["toctou"] for e in made)


def test_a_path_that_stays_is_not(box):
    (box.base / "p.json").write_text('{"watch": {"compare": true}}')
    r = box.sh("mkdir a b; mv a c; ln -s b d; chmod 700 c; rm -r b; echo x > f", options=["-p", box.base / "p.json"])
    told = [e for e in r.events if e["kind"].startswith("file.") and e["kind"] != "file.write"]
    assert len(told) >= 6 and [e["toctou"] for e in told] == [False] * len(told), told


def test_without_it_nothing_is_claimed_about_paths(box):
    assert not any("toctou" in e for e in box.sh("mkdir a").events)


def test_an_address_that_changes_is_flagged_always(box):
    """The kernel's copy is told; that the tool's own was another by then is said."""
    r = box.py("""
import ctypes, socket, struct, threading
libc = ctypes.CDLL(None)
addr = ctypes.create_string_buffer(struct.pack('=H', 2) + struct.pack('>H', 9) + socket.inet_aton('127.0.0.1') + bytes(8))
done = False
def flip():
    while not done:
        addr[7] = 2; addr[7] = 1
t = threading.Thread(target=flip); t.start()
for i in range(200):
    s = socket.socket(); libc.connect(s.fileno(), addr, 16); s.close()
done = True; t.join()
""")
    told = r.kinds("net.connect")
    assert len(told) == 200 and {e["addr"] for e in told} <= {"127.0.0.1", "127.0.0.2"} and all(e["addr_src"] == "kernel" for e in told)
    still = box.py("import socket\nfor i in range(50): socket.socket().connect_ex(('127.0.0.1', 9))")
    assert len(still.kinds("net.connect")) == 50 and not any("toctou" in e for e in still.kinds("net.connect"))


def test_the_hash_of_each_program_on_request(box):
    (box.base / "p.json").write_text('{"watch": {"hash": true}}')
    shutil.copy("/bin/true", box.ws / "mine")
    r = box.sh("/bin/true; ./mine; cp /bin/echo made; ./made; cp /bin/ls /tmp/gone; /tmp/gone > /dev/null; cp /bin/false mine; ./mine || :", options=["-p", box.base / "p.json"])
    got = [(os.path.basename(p["path"]), p["src"] if p["sha256"] else p["why"], p["sha256"]) for p in r.report["programs"]]

    def sha(path):
        return hashlib.sha256(open(path, "rb").read()).hexdigest()
    assert ("true", "machine", sha("/usr/bin/true")) in got and ("made", "change", sha("/usr/bin/echo")) in got
    assert next(g for g in got if g[0] == "gone")[2] is None
    # what the call wrote is told as it left it
    assert {g[1:] for g in got if g[0] == "mine"} == {("change", sha("/usr/bin/false"))}
    assert "programs" not in box.run("true").report
