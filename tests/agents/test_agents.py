# SPDX-License-Identifier: Apache-2.0
"""Claude Code and Codex as they are, on `agent-config`'s configuration, with a model that follows a script.

They need no key and no network: the model is mock_model.py, on loopback. `make test-agents` installs them.
"""
import json
import os
import shutil
import subprocess
import threading

import pytest

from tests.agent_loop import Refused
from tests.agents.mock_model import MockModel, tool_results
from tests.conftest import BUILD, DEADLINE, GLOVEBOX, ROOT, Daemon, box  # noqa: F401 (fixture)

NPM = BUILD / "agents" / "node_modules"
BIN = NPM / ".bin"


class Agent:
    """One agent in a box, with a daemon under it."""

    def __init__(self, box, script, *daemon_options):  # noqa: F811
        self.box = box
        self.model = MockModel(script).start()
        self.home = box.base / "home"
        self.home.mkdir()
        self.daemon = Daemon(box, *daemon_options)
        # what an agent may need, and a secret that no tool may see
        self.env = {"PATH": f"{NPM / 'node' / 'bin'}:/usr/bin:/bin", "HOME": str(self.home), "SECRET_TOKEN": "hunter2",
                    "GLOVEBOX_RUN": str(box.run_dir), "GLOVEBOX_STATE": str(box.state)}
        self.operator = self.daemon.connect()
        self.configure()

    def config(self, *words):
        subprocess.run([GLOVEBOX, "agent-config", *words, "--install"], env={**self.box.env}, cwd=self.box.ws, check=True,
                       capture_output=True, timeout=DEADLINE)

    def run(self, meanwhile=None):
        """Lets it work through the script; `meanwhile` is what an operator does. Gives the tools' results."""
        process = subprocess.Popen(list(map(str, self.words())), env=self.env, cwd=self.box.ws, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = []
        reader = threading.Thread(target=lambda: said.extend(process.communicate()))
        reader.start()
        try:
            if meanwhile:
                meanwhile()
            reader.join(DEADLINE * 2)
            assert process.returncode == 0, said
        finally:
            if process.poll() is None:
                process.kill()
        return list(tool_results(self.model.requests).values())

    def living(self):
        """The call that runs, as soon as there is one that has started."""
        while True:
            calls = [c for c in self.operator.ask("call.list")["calls"] if c["state"] == "running"]
            if calls:
                return calls[0]["id"]

    def output(self, call):
        try:
            return self.operator.ask("call.output", id=call)["text"]
        except Refused:    # it has written nothing yet
            return ""

    def end(self):
        self.operator.close()
        self.model.shutdown()
        assert self.daemon.stop() == 0


class Claude(Agent):
    name = "claude"

    def configure(self):
        self.config("claude")
        self.env.update(ANTHROPIC_BASE_URL=self.model.url, ANTHROPIC_API_KEY="mock", DISABLE_AUTOUPDATER="1",
                        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_TELEMETRY="1")

    def words(self):
        return [BIN / "claude", "-p", "go", "--mcp-config", ".mcp.json", "--strict-mcp-config", "--settings",
                ".claude/settings.json"]


class Codex(Agent):
    name = "codex"

    def configure(self):
        home = self.box.base / "codex"
        home.mkdir()
        (home / "config.toml").write_text(
            'model = "mock"\nmodel_provider = "mock"\napproval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
            f'[model_providers.mock]\nname = "mock"\nbase_url = "{self.model.url}/v1"\nwire_api = "responses"\n'
            "requires_openai_auth = false\n")
        self.config("codex", "--dir", str(home))
        self.env["CODEX_HOME"] = str(home)

    def words(self):
        return [BIN / "codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
                "--dangerously-bypass-hook-trust", "go"]


@pytest.fixture(params=[Claude, Codex])
def make(request, box):  # noqa: F811
    if not (BIN / request.param.name).exists():
        pytest.skip(f"{request.param.name} is not installed: make test-agents installs it")
    made = []

    def agent(script, *options):
        made.append(request.param(box, script, *options))
        return made[-1]
    yield agent
    for one in made:
        one.end()


def ours(tool, **given):
    return {"claude": {"tool": f"mcp__glovebox__{tool}", "input": given},
            "codex": {"namespace": "mcp__glovebox", "tool": tool, "input": given}}


def shell(command):
    return {"claude": {"tool": "Bash", "input": {"command": command, "description": "a command"}},
            "codex": {"tool": "exec_command", "input": {"cmd": command}}}


def test_it_runs_commands_and_edits_files_in_one_session(make):
    a = make([ours("write_file", path="a.py", content="print(6 * 8)\n"),
              ours("apply_patch", input="*** Begin Patch\n*** Update File: a.py\n@@\n-print(6 * 8)\n+print(6 * 7)\n"
                                        "*** End Patch"),
              shell("python3 a.py; pwd; env"), {"text": "done"}])
    wrote, patched, ran = a.run()
    assert "Created a.py" in wrote and "M a.py" in patched
    assert f"42\n{a.box.ws}\n" in ran and "hunter2" not in ran and "mock" not in ran.replace(str(a.box.base), "")
    sessions = a.operator.ask("session.list")["sessions"]
    assert len(sessions) == 1 and sessions[0]["calls"] == 3
    assert not (a.box.ws / "a.py").exists()    # a person commits
    assert a.box.command("commit", sessions[0]["session"]).returncode == 0
    assert (a.box.ws / "a.py").read_text() == "print(6 * 7)\n"
    report = a.operator.ask("call.report", id=sessions[0]["session"] + ".1")
    assert report["agent_call_id"] in ("toolu_0_0", "call_0_0")


def test_it_is_paused_steered_and_stopped(make):
    a = make([ours("bash", command="echo begun; read x < <(sleep 1000)"), {"text": "done"}])

    def operator():
        call = a.living()
        while "begun" not in a.output(call):
            pass
        assert a.operator.ask("call.pause", id=call)["state"] == "paused"
        a.operator.ask("call.resume", id=call)
        a.operator.ask("steer", id=call.split(".")[0], text="look at the tests first")
        a.operator.ask("call.kill", id=call, reason="this takes too long")
    said, = a.run(operator)
    assert "begun" in said and "this takes too long" in said
    assert "[operator note from operator (uid 0)] look at the tests first" in said


def test_it_is_denied_and_told_why(make, tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{"ask": [{"argv": "*careful*"}]}')
    a = make([ours("bash", command=": careful"), shell(": careful"), ours("bash", command="cat /etc/shadow"),
              {"text": "done"}], "--policy", policy)

    def operator():
        denied = set()
        while len(denied) < 2:
            for held in a.operator.ask("approval.list")["approvals"]:
                if held["id"] not in denied:
                    a.operator.ask("approval.deny", id=held["id"], reason="the branch is frozen")
                    denied.add(held["id"])
    first, second, third = a.run(operator)
    assert "the branch is frozen" in first and "the branch is frozen" in second
    assert "denied by the sandbox" in third and "/etc/shadow" in third


@pytest.mark.parametrize("make", [Claude], indirect=True)    # Codex patches through its shell
def test_claude_is_kept_from_its_own_file_tools(make, box):  # noqa: F811
    a = make([{"tool": "Write", "input": {"file_path": str(box.ws / "x"), "content": "y"}}, {"text": "done"}])
    said, = a.run()
    assert "mcp__glovebox__" in said and not os.path.exists(box.ws / "x")


def test_the_whole_agent_runs_inside(box):  # noqa: F811
    """`glovebox run -- claude`: with its model beside it, because the session has only its own loopback."""
    if not (BIN / "claude").exists():
        pytest.skip("claude is not installed: make test-agents installs it")
    (box.ws / "mock_model.py").write_text((ROOT / "tests" / "agents" / "mock_model.py").read_text())
    (box.ws / "script.json").write_text(json.dumps([
        {"tool": "Bash", "input": {"command": "echo from-inside > made; cat /etc/shadow", "description": "d"}},
        {"text": "done"}]))
    shutil.copytree(NPM / "@anthropic-ai", box.ws / "node_modules" / "@anthropic-ai", symlinks=True)
    program = (BIN / "claude").resolve().relative_to(NPM)
    inside = ("python3 mock_model.py --script script.json --log log.jsonl > url & "
              "while ! test -s url; do :; done; "
              f"ANTHROPIC_BASE_URL=$(cat url) exec node_modules/{program} -p go --allowedTools Bash")
    r = box.sh(inside, options=["--env", "ANTHROPIC_API_KEY=mock", "--env", "DISABLE_AUTOUPDATER=1", "--env",
                                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "--limit", "memory=4G"])
    assert r.code == 0, r.err
    assert r.out.decode() == "done\n"
    assert [c["change"] for c in r.report["changes"] if c["path"].endswith("/ws/made")] == ["added"]
    assert any("shadow" in str(d.get("subject")) for d in r.report["denials"])
    assert not (box.ws / "made").exists()
