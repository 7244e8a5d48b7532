# SPDX-License-Identifier: Apache-2.0
"""Writes: one event for each file and burst, exact in sum; mappings announced; and what no event told of."""
import collections

import pytest


def written(r):
    sums = collections.defaultdict(lambda: [0, 0])
    for e in r.kinds("file.write"):
        if not e.get("mmap"):
            sums[e["path"].rsplit("/", 1)[1]][0] += e["ops"]
            sums[e["path"].rsplit("/", 1)[1]][1] += e["bytes"]
    return {k: tuple(v) for k, v in sums.items()}


def test_many_writes_are_one_event(box):
    r = box.py("import os\nf = os.open('f', os.O_CREAT | os.O_WRONLY)\nfor i in range(10000): os.write(f, b'12345')")
    told = r.kinds("file.write")
    assert len(told) <= 3 and written(r) == {"f": (10000, 50000)}
    assert told[0]["path"] == f"{box.ws}/f" and told[0]["path_src"] == "kernel"


@pytest.mark.parametrize("name,how,ops,size", [
    ("pwrite64", "os.pwrite(f, b'abc', 10)", 1, 3), ("writev", "os.writev(f, [b'ab', b'cd'])", 1, 4),
    ("pwritev2", "os.pwritev(f, [b'ab', b'c'], 5)", 1, 3), ("sendfile", "os.sendfile(f, src, 0, 100)", 1, 100),
    ("copy_file_range", "os.copy_file_range(src, f, 100)", 1, 100),
    ("splice", "r, w = os.pipe(); os.write(w, b'x' * 50); os.splice(r, f, 50)", 1, 50),
    ("pwritev2", "os.pwritev(f, [b'abcd'], 0, os.RWF_SYNC)", 1, 4),
])
def test_every_way_to_write_is_counted(box, name, how, ops, size):
    (box.ws / "src").write_bytes(b"s" * 4096)
    code = how if name not in ("splice",) else ("import ctypes\nr, w = os.pipe(); os.write(w, b'x' * 50)\n"
                                                 "ctypes.CDLL(None).splice(r, None, f, None, ctypes.c_size_t(50), 0)")
    r = box.py(f"import os\nsrc = os.open('src', os.O_RDONLY)\nf = os.open('f', os.O_CREAT | os.O_RDWR)\n{code}")
    assert r.code == 0, r.err
    assert r.report["syscalls"]["counts"].get(name) and written(r) == {"f": (ops, size)}


def test_what_is_no_file_has_no_write_event(box):
    r = box.sh("echo x | cat; echo y > /dev/null; printf z >&2")
    assert written(r) == {}


def test_each_file_and_each_process_has_its_own(box):
    r = box.sh("for i in 1 2 3 4 5 6 7 8; do (for k in 1 2 3; do echo $i; done > f$i; echo end$i >> f0) & done; wait")
    sums = written(r)
    assert {k: v for k, v in sums.items() if k != "f0"} == {f"f{i}": (3, 6) for i in range(1, 9)} and sums["f0"] == (8, 40)
    assert len({e["exec_id"] for e in r.kinds("file.write") if e["path"].endswith("f0")}) == 8


def test_more_files_at_once_than_bursts_are_exact(box):
    r = box.py("import os\nfor i in range(5000):\n    f = os.open(f'f{i}', os.O_CREAT | os.O_WRONLY); os.write(f, b'x' * 7); os.write(f, b'y'); os.close(f)")
    assert written(r) == {f"f{i}": (2, 8) for i in range(5000)}


def test_a_name_that_is_used_again_is_told_for_what_it_is(box):
    r = box.py("import os\nfor i in range(50):\n    os.mkdir(f'd{i}'); f = os.open(f'd{i}/x', os.O_CREAT | os.O_WRONLY); os.write(f, b'x' * (i + 1)); os.close(f); os.unlink(f'd{i}/x'); os.rmdir(f'd{i}')")
    of = collections.Counter()
    for e in r.kinds("file.write"):
        of[e["path"].split("/")[-2]] += e["bytes"]
    assert sum(of.values()) == sum(range(1, 51))


def test_a_mapping_that_may_write_is_announced(box):
    r = box.py("import mmap\nf = open('f', 'w+b'); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); m[0:3] = b'abc'; m.close()")
    assert [e["path"] for e in r.kinds("file.write") if e.get("mmap")] == [f"{box.ws}/f"]
    assert r.report["events"]["changes_without_event"] == 0


def test_a_change_that_no_event_told_of_is_counted(box):
    """The name that was used leads through a link: the change list has another."""
    r = box.sh("mkdir d; ln -s d l; mkdir l/inside; chmod 700 d")
    changed = {c["path"] for c in r.report["changes"]}
    assert len(changed) == 3 and r.report["events"]["changes_without_event"] == 1
