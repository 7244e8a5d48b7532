# SPDX-License-Identifier: Apache-2.0
"""PROTOCOL.md: every example is sent as it stands, and every method has one."""
import json
import re

from tests.conftest import ROOT, Daemon
from tests.agent_loop import Glovebox

TEXT = (ROOT / "supervisor" / "PROTOCOL.md").read_text()
EXAMPLES = re.findall(r"```request( held)?\n(.*?)\n```", TEXT, re.S)
METHODS = re.findall(r'{ "([a-z.]+)", [^}]*(?:true|false) }', (ROOT / "supervisor" / "verbs.c").read_text())


def test_every_method_is_documented_with_an_example():
    sent = {json.loads(body)["method"] for _, body in EXAMPLES}
    assert len(METHODS) == 34 and sent == set(METHODS)
    assert all(f"**`{m}`**" in TEXT for m in METHODS)


def test_every_error_code_is_documented():
    codes = re.findall(r"= (-32\d\d\d)", (ROOT / "supervisor" / "rpc.h").read_text())
    assert codes and all(f"| {c} |" in TEXT for c in codes)


def test_every_example_is_answered(box):
    policy = box.base / "p.json"
    policy.write_text('{"ask": [{"program": "touch"}]}')
    d = Daemon(box, "--policy", policy)
    c = d.connect()
    known = {"WORKSPACE": str(box.ws)}

    def fill(body):
        for name in ("WORKSPACE", "SESSION", "CALL", "DIGEST"):
            body = body.replace(name, known.get(name, name))
        return body

    def send(body):
        message = json.loads(body)
        c.sock.sendall(body.encode() + b"\n")
        c.last_id = message["id"]
        return c.receive(message["id"])    # raises when it is an error
    for held, body in EXAMPLES:
        if held:
            call = c.ask("call.start", session=known["SESSION"], argv=["touch", "x"])
            known.update(CALL=call["id"], DIGEST=call["digest"])
        message = json.loads(fill(body))
        if message["method"] == "call.start":    # each has a layer of its own
            for living in c.ask("call.list")["calls"]:
                c.ask("call.wait", id=living["id"])
        result = send(fill(body))
        if message["method"] == "session.create":
            known["SESSION"] = result["session"]
        if message["method"] == "call.start":
            known["CALL"] = result["id"]
            if message["params"].get("tty") is not None or "sleep" in body:
                seen = []
                watcher = d.connect(on_event=seen.append)
                watcher.ask("events.subscribe", session=known["SESSION"], from_seq=1, calls=[result["call"]],
                            kinds=["call.started"])
                while not seen:
                    watcher.read()
                watcher.close()
        if message.get("params", {}).get("close"):
            c.ask("call.wait", id=known["CALL"])    # its input has ended, and so does it
        if message["method"] in ("call.cancel", "call.kill", "host.kill", "approval.approve", "approval.deny"):
            for living in c.ask("call.list")["calls"]:
                c.ask("call.wait", id=living["id"])
    assert d.stop() == 0


def test_a_request_without_an_id_is_served(daemon):
    c = daemon.connect()
    c.sock.sendall(b'{"jsonrpc":"2.0","method":"host.info"}\n')
    assert json.loads(c.lines.readline())["id"] is None


def test_ids_are_given_back_as_they_came(daemon):
    c = daemon.connect()
    for sent in (7, "seven", "", -1, 1.5):
        c.sock.sendall(json.dumps({"jsonrpc": "2.0", "id": sent, "method": "host.info"}).encode() + b"\n")
        assert json.loads(c.lines.readline())["id"] == sent
