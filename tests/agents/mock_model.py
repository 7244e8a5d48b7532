#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model that follows a script, for running real coding agents without a model, a key or a network.

    mock_model.py --script steps.json [--log requests.jsonl] [--port 0]    # prints its URL, then serves

One loopback server speaks the Anthropic Messages API (Claude Code) and the OpenAI Responses API (Codex).
A script is a list of steps, one for each turn of the model:

    {"text": "done"}                                      say this (and so end the agent's turn)
    {"tool": "Bash", "input": {"command": "true"}}        call a tool
    {"tool": "apply_patch", "input": "*** Begin ..."}     a text as input: a free-form tool (Codex)
    {"namespace": "mcp__box", "tool": "run", "input": {}} a tool inside a namespace (Codex's MCP tools)
    {"claude": STEP, "codex": STEP}                       what each agent calls it
    [STEP, STEP]                                          several in one turn: parallel calls

After its last step the model says "done". Which step is due is read from the conversation that the agent
sends, never from a counter here: so a retry gets the same answer, and agents may share one server.
What an agent asks on the side (titles, summaries, token counts) is answered and uses up no step.
"""
import argparse
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAST = {"text": "done"}


def turns_for(agent, script):
    """The script as one agent sees it: a list of turns, each a list of steps."""
    turns = [step if isinstance(step, list) else [step] for step in script]
    return [[step.get(agent, step) for step in turn] for turn in turns]


def turn_due(turns, spoken):
    """The turn that follows when the model's last turns together made `spoken` items: (number, steps)."""
    for number, turn in enumerate(turns):
        if spoken <= 0:
            return number, turn
        spoken -= len(turn)
    return len(turns), [LAST]


class Anthropic:
    """POST /v1/messages. An item is a content block of an assistant's message."""

    name = "claude"

    @staticmethod
    def is_side_request(body):
        return not body.get("tools")

    @staticmethod
    def spoken(body):
        blocks = 0
        for message in body["messages"]:
            if message["role"] == "assistant":
                content = message["content"]
                blocks += 1 if isinstance(content, str) else sum(b["type"] in ("text", "tool_use") for b in content)
        return blocks

    @staticmethod
    def block(step, call_id):
        """(the block as it starts, the delta that fills it, the block when whole)"""
        if "tool" not in step:
            return ({"type": "text", "text": ""}, {"type": "text_delta", "text": step["text"]},
                    {"type": "text", "text": step["text"]})
        call = {"type": "tool_use", "id": call_id, "name": step["tool"], "input": {}}
        return (call, {"type": "input_json_delta", "partial_json": json.dumps(step["input"])},
                {**call, "input": step["input"]})

    @classmethod
    def answer(cls, body, number, steps):
        """The events of the stream, and the message for a client that asked for none."""
        blocks = [cls.block(step, f"toolu_{number}_{i}") for i, step in enumerate(steps)]
        stop = "tool_use" if any("tool" in step for step in steps) else "end_turn"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body["model"],
                   "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        events = [{"type": "message_start", "message": message}]
        for index, (start, delta, _) in enumerate(blocks):
            events += [{"type": "content_block_start", "index": index, "content_block": start},
                       {"type": "content_block_delta", "index": index, "delta": delta},
                       {"type": "content_block_stop", "index": index}]
        events += [{"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage},
                   {"type": "message_stop"}]
        return events, {**message, "content": [whole for _, _, whole in blocks], "stop_reason": stop}


class OpenAI:
    """POST /v1/responses. An item is an output item."""

    name = "codex"

    @staticmethod
    def is_side_request(body):
        return not body.get("tools")

    @staticmethod
    def spoken(body):
        calls = ("function_call", "custom_tool_call", "local_shell_call")
        return sum(item.get("type") in calls or (item.get("type") == "message" and item.get("role") == "assistant")
                   for item in body["input"])

    @staticmethod
    def item(step, call_id):
        if "tool" not in step:
            return {"type": "message", "role": "assistant", "id": f"item_{call_id}", "status": "completed",
                    "content": [{"type": "output_text", "text": step["text"], "annotations": []}]}
        call = {"id": f"item_{call_id}", "call_id": call_id, "name": step["tool"], "status": "completed"}
        if "namespace" in step:
            call["namespace"] = step["namespace"]
        if isinstance(step["input"], str):
            return {"type": "custom_tool_call", "input": step["input"], **call}
        return {"type": "function_call", "arguments": json.dumps(step["input"]), **call}

    @classmethod
    def answer(cls, body, number, steps):
        items = [cls.item(step, f"call_{number}_{i}") for i, step in enumerate(steps)]
        usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
        response = {"id": f"resp_{number}", "object": "response", "model": body["model"], "output": items}
        events = [{"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}]
        for index, item in enumerate(items):
            events += [{"type": "response.output_item.added", "output_index": index, "item": item},
                       {"type": "response.output_item.done", "output_index": index, "item": item}]
        whole = {**response, "status": "completed", "usage": usage}
        return events + [{"type": "response.completed", "response": whole}], whole


APIS = {"/v1/messages": Anthropic, "/v1/responses": OpenAI}


class MockModel(ThreadingHTTPServer):
    """Listens at once on `self.url`; `start()` serves it from a thread; `requests` is what was asked."""

    daemon_threads = True

    def __init__(self, script, log=None, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.turns = {api.name: turns_for(api.name, script) for api in APIS.values()}
        self.log = log
        self.lock = threading.Lock()
        self.requests = []

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def record(self, **request):
        with self.lock:
            self.requests.append(request)
            if self.log:
                with open(self.log, "a", encoding="utf-8") as f:
                    f.write(json.dumps(request) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # noqa: A002 (the base class's name)
        pass

    def do_HEAD(self):
        self.send(200, "text/plain", b"")

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.record(method="GET", path=path)
        self.send_json(200, {"object": "list", "data": [], "models": [], "has_more": False})

    def do_POST(self):
        path = self.path.partition("?")[0]
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:   # a compressed body is an agent that was not told to send plain ones
            return self.send_json(400, {"error": {"type": "invalid_request_error", "message": "not JSON"}})
        api = APIS.get(path)
        if not api:
            self.server.record(method="POST", path=path, body=body)
            return self.send_json(200, {"input_tokens": 1} if path.endswith("/count_tokens") else {})
        if api.is_side_request(body):
            number, steps = None, [LAST]
        else:
            number, steps = turn_due(self.server.turns[api.name], api.spoken(body))
        self.server.record(method="POST", path=path, agent=api.name, turn=number, body=body)
        events, whole = api.answer(body, number, steps)
        if not body.get("stream"):
            return self.send_json(200, whole)
        stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return self.send(200, "text/event-stream", stream.encode())

    def send_json(self, status, value):
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def tool_results(requests):
    """What came back of the tools, in order, by call id: {id: text}. For tests to assert on."""
    found = {}
    for request in requests:
        body = request.get("body") or {}
        for message in body.get("messages", []):
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block["type"] == "tool_result":
                    found[block["tool_use_id"]] = text_of(block.get("content", ""))
        for item in body.get("input", []) if isinstance(body.get("input"), list) else []:
            if item.get("type") in ("function_call_output", "custom_tool_call_output"):
                found[item["call_id"]] = text_of(item["output"])
    return found


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--script", required=True, help="a file of JSON, or the JSON itself")
    parser.add_argument("--log", help="append each request to this file, one JSON object a line")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if os.path.exists(options.script):
        with open(options.script, encoding="utf-8") as f:
            script = json.load(f)
    else:
        script = json.loads(options.script)
    model = MockModel(script, options.log, options.port)
    print(model.url, flush=True)
    model.serve_forever()


if __name__ == "__main__":
    main()
