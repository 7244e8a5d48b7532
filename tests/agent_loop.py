#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent loop against Glovebox, with nothing but Python's standard library: copy it.

    glovebox daemon --root /srv &
    python3 tests/agent_loop.py /run/glovebox/daemon/agent.sock /srv/app

It opens a session on a directory, runs a scripted series of calls (where a model would choose them),
prints what is observed while they run, shows what they changed, and leaves the commit to a person.
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


def text_of(stream):
    """Output of a result: whole, or its beginning and its end."""
    if "text" in stream:
        return stream["text"]
    return f"{stream['head']}\n[... {stream['left_out']} bytes left out ...]\n{stream['tail']}"


class Agent:
    """A session and its calls. `run` is what a tool of a model would be."""

    def __init__(self, path, workspace, on_event=None):
        self.box = Glovebox(path, on_event)
        self.session = self.box.ask("session.create", workspace=workspace,
                                    labels={"agent": "example"})["session"]
        self.box.ask("events.subscribe", session=self.session)

    def run(self, argv, agent_call_id=None, step=None, **more):
        if agent_call_id:
            more["agent_call_id"] = agent_call_id
        if step:
            more["step"] = step
        call = self.box.ask("call.start", session=self.session, argv=argv, **more)
        return self.box.ask("call.wait", id=call["id"])

    def changes(self):
        return self.box.ask("changes.list", id=self.session)["changes"]

    def close(self):
        self.box.ask("session.close", id=self.session)
        self.box.close()


SCRIPT = [   # (what the model says it does, the command)
    ("look around", ["sh", "-c", "pwd; ls -a"]),
    ("write a program", ["sh", "-c", "printf 'print(6 * 7)\\n' > answer.py"]),
    ("run it", ["python3", "answer.py"]),
    ("try the network", ["python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 2)"]),
]


def show(event):
    kind = event["kind"]
    if kind == "call.output":
        sys.stdout.write("    | " + event["text"].rstrip("\n").replace("\n", "\n    | ") + "\n")
    elif kind in ("proc.exec", "denied", "steer", "lost", "call.held", "call.done"):
        what = event.get("exe") or event.get("why") or event.get("text") or event.get("outcome") or ""
        print(f"    {event.get('seq', '-'):>5} {kind}: {what}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    agent = Agent(sys.argv[1], sys.argv[2], show)
    print(f"session {agent.session}")
    for number, (step, argv) in enumerate(SCRIPT, 1):
        print(f"- {step}: {argv}")
        result = agent.run(argv, agent_call_id=f"step-{number}", step=step)
        for denial in result["denials"]:
            print(f"    denied by {denial['layer']}: {denial['why']}; to allow it: {denial['suggest']}")
        for note in result["steer"]:   # a person's words: they never come from a tool
            print(f"    {note['by']} says: {note['text']}")
        print(f"    {result['outcome']} {result['exit_code']}, {len(result['changes'])} changes")
    print("changes of the session, not in the workspace until an operator commits them:")
    for change in agent.changes():
        print(f"    {change['change']:<9} {change['path']}")
    print(f"    glovebox diff {agent.session}; glovebox commit {agent.session}")
    agent.close()


if __name__ == "__main__":
    main()
