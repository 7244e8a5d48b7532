#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent loop against Glovebox, with nothing but Python's standard library: copy it.

    glovebox daemon --root /srv &
    python3 tests/agent_loop.py /run/glovebox/daemon/agent.sock /srv/app

It opens a session on a directory, gives the list of tools to a model (here one that follows a script), makes the
calls that it asks for, prints what is observed while they run, and leaves the commit to a person.
"""
import json
import socket
import sys


class Refused(Exception):
    """The supervisor said no; .code is stable, str() is a sentence."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


class Glovebox:
    """One connection. Events that come between answers go to `on_event`."""

    def __init__(self, path, on_event=None, timeout=60):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.lines = self.sock.makefile("rb")
        self.on_event = on_event or (lambda event: None)
        self.last_id = 0

    def send(self, method, **params):
        """Sends a request; its answer is `receive(id)`."""
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}
        self.sock.sendall(json.dumps(message).encode() + b"\n")
        return self.last_id

    def read(self):
        """The next message. An event is handed over, and None returned."""
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the supervisor has hung up")
        message = json.loads(line)
        if message.get("method") == "event":
            self.on_event(message["params"]["event"])
            return None
        return message

    def receive(self, wanted):
        while True:
            message = self.read()
            if message and message.get("id") == wanted:
                if "error" in message:
                    raise Refused(message["error"])
                return message["result"]

    def ask(self, method, **params):
        return self.receive(self.send(method, **params))

    def close(self):
        self.sock.close()


class ScriptedModel:
    """Stands where a model would be: it gets the tools and the conversation, and says what comes next.

    A real one is `client.messages.create(tools=..., messages=...)`, or its like; its tool calls have the same
    three parts: an id, a name from the list, and an input that fits the tool's schema.
    """

    SCRIPT = [
        ("Let me look around.", "bash", {"command": "pwd; ls -a"}),
        ("I write a program.", "write_file", {"path": "answer.py", "content": "print(6 * 8)\n"}),
        ("Six times seven it was.", "apply_patch", {
            "input": "*** Begin Patch\n*** Update File: answer.py\n@@\n-print(6 * 8)\n+print(6 * 7)\n*** End Patch"}),
        ("I run it.", "exec", {"argv": ["python3", "answer.py"], "timeout_ms": 60000}),
        ("Is there a network?", "fetch_url", {"url": "http://192.0.2.1/"}),
        ("What have I changed?", "list_changes", {}),
    ]

    def next(self, tools, conversation):
        """A sentence, and the call of a tool or None."""
        turn = sum(message["role"] == "assistant" for message in conversation)
        if turn == len(self.SCRIPT):
            return "Done: answer.py prints 42.", None
        said, name, given = self.SCRIPT[turn]
        assert name in [tool["name"] for tool in tools]
        return said, {"id": f"toolu_{turn + 1}", "name": name, "input": given}


class Agent:
    """A session, its tools, and the loop between a model and them."""

    # Longer than this a call is answered with what there is so far; the model may `wait` for it, or `kill` it.
    PATIENCE_MS = 120000
    TEXT = 30000    # bytes of output that a result may show

    def __init__(self, path, workspace, on_event=None):
        self.box = Glovebox(path, on_event, timeout=self.PATIENCE_MS / 1000 + 60)
        self.session = self.box.ask("session.create", workspace=workspace, labels={"agent": "example"})["session"]
        self.box.ask("events.subscribe", session=self.session)
        self.tools = self.box.ask("tools.list")["tools"]    # name, description, inputSchema: as a model wants them

    def call(self, call_id, name, given, step=None):
        """One call of a tool: the text for the model, and whether it failed."""
        try:
            result = self.box.ask("call.start", session=self.session, tool=name, input=given, agent_call_id=call_id,
                                  **({"step": step} if step else {}))
            if "text" not in result:    # it runs: `held` and `paused` are waited for as well
                result = self.box.ask("call.wait", id=result["id"], text=self.TEXT, timeout_ms=self.PATIENCE_MS)
        except Refused as error:    # a wrong name or input is the model's to mend
            return str(error), True
        notes = "".join(f"[operator note from {n['by']}] {n['text']}\n" for n in result.get("steer", []))
        return result["text"] + notes, result["is_error"]

    def run(self, model, task):
        """Until the model calls no tool any more. Gives the conversation."""
        conversation = [{"role": "user", "content": task}]
        while True:
            said, call = model.next(self.tools, conversation)
            print(f"- {said}")
            conversation.append({"role": "assistant", "content": said, "call": call})
            if not call:
                return conversation
            print(f"    {call['name']} {json.dumps(call['input'])[:100]}")
            text, failed = self.call(call["id"], call["name"], call["input"], step=said)
            print("    " + ("failed: " if failed else "") + text.rstrip("\n").replace("\n", "\n    "))
            conversation.append({"role": "tool", "call_id": call["id"], "content": text, "is_error": failed})

    def close(self):
        self.box.ask("session.close", id=self.session)
        self.box.close()


def show(event):
    """What is observed while a call runs; everything else is in the log."""
    if event["kind"] in ("proc.exec", "denied", "lost", "call.held", "call.paused"):
        what = event.get("exe") or event.get("why") or ""
        print(f"    {event.get('seq', '-'):>5} {event['kind']}: {what}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    agent = Agent(sys.argv[1], sys.argv[2], show)
    print(f"session {agent.session}")
    agent.run(ScriptedModel(), "Write a program that prints six times seven.")
    print("what it changed is not in the workspace until an operator commits it:")
    print(f"    glovebox diff {agent.session}; glovebox commit {agent.session}")
    agent.close()


if __name__ == "__main__":
    main()
