# SPDX-License-Identifier: Apache-2.0
"""Many clients at once that cancel, hang up and send nonsense at any moment: nothing crashes, hangs or stays."""
import json
import os
import random
import select
import socket
import subprocess
import threading

import pytest

from tests.conftest import BUILD, DEADLINE, box, daemon  # noqa: F401 (fixtures)
from tests.mcp.test_mcp import META, Http, modern, operator

# GLOVEBOX_MCP=build/asan/glovebox-mcp and GLOVEBOX_STORM=100 make it worth its name
MCP = os.environ.get("GLOVEBOX_MCP", str(BUILD / "glovebox-mcp"))
ROUNDS = int(os.environ.get("GLOVEBOX_STORM", "1"))
COMMANDS = ["true", "sleep 5", "echo x > f", "seq 10000", "kill -9 $$"]
NONSENSE = [b"{", b"[]", b'{"jsonrpc":"2.0","id":1,"result":{}}', b"\xff\xfe", b"[" * 500,
            b'{"jsonrpc":"2.0","id":"ask-1","result":{"action":"accept","content":{"decision":"approve"}}}']
EVERYTHING = modern(capabilities={"extensions": {META + "tasks": {}}, "elicitation": {}})


def message(r, number):
    if r.random() < 0.15:
        return r.choice(NONSENSE)
    if r.random() < 0.35:
        return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": r.randrange(number + 1)}}
    meta = {"progressToken": number, **(EVERYTHING if r.random() < 0.5 else {})}
    if r.random() < 0.25:
        method = r.choice(["subscriptions/listen", "resources/list", "tasks/get", "tasks/cancel", "resources/read", "ping"])
        params = {"notifications": {"toolsListChanged": True}, "taskId": "x", "uri": "glovebox://x/diff", "_meta": meta}
    else:
        method = "tools/call"
        params = {"name": r.choice(["bash", "exec", "read_file", "wait", "undo", "list_changes", "nothing"]), "_meta": meta,
                  "arguments": r.choice([{"command": r.choice(COMMANDS)}, {"argv": ["echo"]}, {"path": "f"},
                                         {"call_id": "s-1.1"}, {}])}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def on_pipes(where, seed, failures):
    r = random.Random(seed)
    p = subprocess.Popen([MCP, "--workspace", where.ws, "--hold", "100ms", "--ask-client"], env=where.env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    reader = threading.Thread(target=p.stdout.read)
    reader.start()
    for number in range(r.randrange(5, 80)):
        sent = message(r, number)
        p.stdin.write((sent if isinstance(sent, bytes) else json.dumps(sent).encode()) + b"\n")
        p.stdin.flush()
        select.select([], [], [], r.random() * 0.02)
    p.stdin.close()
    if p.wait(timeout=DEADLINE) != 0:
        failures.append((seed, p.returncode))
    reader.join()
    p.stdout.close()


def on_sockets(server, seed):
    r = random.Random(seed)
    for _ in range(25):
        sent = message(r, r.randrange(5))
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        method = sent["method"] if isinstance(sent, dict) else "x"
        head = ("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {server.token}\r\nContent-Length: {len(body)}\r\n")
        if r.random() < 0.6:
            head += f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nMcp-Name: bash\r\n"
        data = head.encode() + b"\r\n" + body
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as c:
            c.sendall(data[:r.randrange(1, len(data))] if r.random() < 0.2 else data)
            select.select([c], [], [], r.choice([0, 0.02, 0.3]))
            if r.random() < 0.2:
                c.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_storm_leaves_nothing_behind(daemon, number):  # noqa: F811
    r = random.Random(number)
    server = Http(daemon.box, "--hold", "100ms")
    failures = []
    threads = [threading.Thread(target=on_pipes, args=(daemon.box, r.random(), failures)) for _ in range(6)]
    threads += [threading.Thread(target=on_sockets, args=(server, r.random())) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []
    assert server.status(body={"jsonrpc": "2.0", "id": 1, "method": "ping"}) == 200
    server.end()
    while operator(daemon, "call.list")["calls"]:    # what was cancelled last is being ended
        select.select([], [], [], 0.01)
