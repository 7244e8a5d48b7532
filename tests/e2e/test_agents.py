# SPDX-License-Identifier: Apache-2.0
"""What agents start instead of a shell or a tool: call, exec, shim, hook, agent-config."""
import json
import os
import subprocess

import pytest

from tests.conftest import BUILD, DEADLINE, GLOVEBOX, Daemon, Session

SHIM = BUILD / "glovebox-shim"


def run(box, *words, stdin=None, cwd=None, **env):
    given = stdin if isinstance(stdin, (bytes, type(None))) else json.dumps(stdin).encode()
    done = subprocess.run([str(w) for w in words], input=given if given is not None else b"", capture_output=True,
                          timeout=DEADLINE, cwd=cwd or box.ws, env={**box.env, **env})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def hook(box, *options, **event):
    code, out, err = run(box, GLOVEBOX, "hook", *options, stdin=event)
    return code, json.loads(out)["hookSpecificOutput"] if out else None, err


# --- call SESSION TOOL JSON ---------------------------------------------------------

def test_call_takes_a_tool_and_its_input(daemon):
    s = Session(daemon)
    call = (daemon.box, GLOVEBOX, "call", s.id)
    assert run(*call, "bash", '{"command":"cd /usr; echo hi"}')[:2][1].startswith("hi\n[exit 0 · ")
    code, out, _ = run(*call, "bash", '{"command":"pwd; exit 3"}')
    assert code == 1 and out.startswith("/usr\n[exit 3")
    code, out, _ = run(*call, "write_file", "-", stdin={"path": "a", "content": "x"})
    assert code == 0 and out.startswith("Created a")
    code, out, _ = run(*call, "--json", "list_changes", "{}")
    assert code == 0 and json.loads(out)["structured"]["changes"][0]["change"] == "added"
    code, out, err = run(*call, "bsh", "{}")
    assert code == 2 and 'did you mean "bash"' in err
    code, out, err = run(*call, "bash", "{nonsense")
    assert code == 2 and "not JSON" in err
    code, out, _ = run(*call, "--", "echo", "{}")
    assert code == 0 and out == "{}\n"    # behind "--" it is a command


def test_the_tools_are_listed(daemon):
    code, out, _ = run(daemon.box, GLOVEBOX, "tools")
    assert code == 0 and len(out.splitlines()) == 15 and "apply_patch                  Apply a patch\n" in out
    code, out, _ = run(daemon.box, GLOVEBOX, "tools", "--json")
    assert code == 0 and all(t["inputSchema"] for t in json.loads(out))


# --- exec --json ----------------------------------------------------------------------

def execute(box, call, *options):
    code, out, err = run(box, GLOVEBOX, "exec", "--json", *options, stdin=call)
    return code, json.loads(out) if out else None, err


def test_exec_answers_in_the_shape_it_was_asked_in(daemon):
    box = daemon.box
    code, r, _ = execute(box, {"tool": "bash", "input": {"command": "echo hi > f; cd /usr"}}, "--key", "k")
    assert code == 0 and r["structured"]["exit_code"] == 0 and r["session"].startswith("s-")
    code, r, _ = execute(box, {"type": "tool_use", "id": "toolu_1", "name": "bash",
                               "input": {"command": "pwd; exit 2"}}, "--key", "k")
    assert code == 1 and r["type"] == "tool_result" and r["tool_use_id"] == "toolu_1" and r["is_error"]
    assert r["content"].startswith("/usr\n[exit 2")
    code, r, _ = execute(box, {"type": "shell_call", "call_id": "c", "action":
                               {"commands": ["cd /tmp", "pwd; echo e >&2; exit 4", "sleep 100"], "timeout_ms": 300}})
    assert [o["outcome"] for o in r["output"]] == [{"type": "exit", "exit_code": 0}, {"type": "exit", "exit_code": 4},
                                                  {"type": "timeout"}]
    assert r["output"][1]["stdout"] == "/tmp\n" and r["output"][1]["stderr"] == "e\n"
    code, r, _ = execute(box, {"type": "apply_patch_call", "call_id": "p", "operation":
                               {"type": "create_file", "path": "n", "diff": "+a\n+b"}})
    assert r["status"] == "completed" and "A n" in r["output"]
    code, r, _ = execute(box, {"type": "function_call", "call_id": "g", "name": "exec",
                               "arguments": '{"argv":["echo","x"]}'})
    assert r["type"] == "function_call_output" and r["output"].startswith("x\n")
    code, r, _ = execute(box, {"type": "local_shell_call", "call_id": "l", "action":
                               {"type": "exec", "command": ["pwd"], "working_directory": "/usr", "env": {}}})
    assert r["output"].startswith("/usr\n")
    code, r, _ = execute(box, {"type": "tool_use", "id": "t", "name": "nothing", "input": {}})
    assert r["is_error"] and "no tool" in r["content"]
    for bad in ({"type": "x"}, [], b"{", {}):
        assert execute(box, bad)[0] == 2


def test_exec_leaves_a_session_only_where_something_changed(daemon):
    execute(daemon.box, {"tool": "bash", "input": {"command": "true"}})
    assert daemon.box.sessions() == []
    execute(daemon.box, {"tool": "bash", "input": {"command": "echo x > f"}})
    assert len(daemon.box.sessions()) == 1


def test_without_a_daemon_root_has_its_own_and_the_key_goes_on(box):
    call = {"tool": "bash", "input": {"command": "cat f; echo more >> f"}}
    assert execute(box, call, "--key", "k")[0] == 0
    code, r, err = execute(box, call, "--key", "k")
    assert code == 0 and r["structured"]["stdout"] == "more\n" and len(box.sessions()) == 1, (code, r, err)
    assert not list(box.run_dir.iterdir())    # nothing runs any more


# --- shim -----------------------------------------------------------------------------------

def test_the_shim_is_a_shell_whose_session_lasts(daemon):
    box = daemon.box
    env = {"CLAUDE_CODE_SESSION_ID": "conv-1", "SECRET_TOKEN": "hunter2"}
    code, out, err = run(box, SHIM, "echo x > f; echo out; echo err >&2; exit 7", **env)
    assert (code, out) == (7, "out\n") and "err\n" in err
    code, out, _ = run(box, SHIM, "cat f; env", **env)
    assert out.startswith("x\n") and "hunter2" not in out and "conv-1" not in out
    assert not (box.ws / "f").exists() and len(box.sessions()) == 1
    (box.ws / "sub").mkdir()
    assert run(box, SHIM, "pwd; cat ../f", cwd=box.ws / "sub", **env)[1] == f"{box.ws}/sub\nx\n"
    assert len(box.sessions()) == 1    # a directory of the workspace is the same conversation


def test_the_shim_hands_back_the_directory_that_claude_reads(daemon):
    path = f"/tmp/claude-{os.getpid()}-cwd"
    try:
        code, out, _ = run(daemon.box, SHIM, f"cd /usr && pwd -P >| {path}", CLAUDE_CODE_SESSION_ID="c")
        with open(path) as f:
            assert code == 0 and f.read() == "/usr\n"
    finally:
        os.unlink(path)
    for other in ("/etc/claude-x-cwd", "/tmp/claude-../../etc/x-cwd", "/tmp/other"):
        run(daemon.box, SHIM, f"true; pwd -P >| {other}", CLAUDE_CODE_SESSION_ID="c")
        assert not os.path.exists(other)


def test_the_shim_runs_nothing_where_nothing_watches(box):
    os.chmod(box.base, 0o755)
    code, out, err = run(box, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SHIM, "echo ran", cwd="/")
    assert code == 125 and out == "" and "nothing was run" in err


def test_only_our_own_plain_commands_pass_the_shim(daemon):
    code, out, err = run(daemon.box, SHIM, f"{GLOVEBOX} hook", stdin={"hook_event_name": "x"})
    assert code == 2 and "not served" in err    # it was the hook that ran
    for other in (f"{GLOVEBOX} hook; id -u", f"{GLOVEBOX} version", f"{GLOVEBOX} hook\nid -u"):
        code, out, err = run(daemon.box, SHIM, other, CLAUDE_CODE_SESSION_ID="c")
        assert out in ("", "1000\n") and "not found" in err or "No such file" in err    # in the sandbox


# --- hook ---------------------------------------------------------------------------------------

def test_a_shell_command_is_sent_into_the_session(daemon):
    asked = {"hook_event_name": "PreToolUse", "session_id": "conv", "tool_name": "Bash", "tool_use_id": "toolu_5",
             "tool_input": {"command": "echo \"it's\" $((1+1)); touch made", "description": "d"}}
    code, said, _ = hook(daemon.box, **asked)
    assert code == 0 and said["permissionDecision"] == "allow" and said["updatedInput"]["description"] == "d"
    code, out, _ = run(daemon.box, "bash", "-c", said["updatedInput"]["command"])
    assert code == 0 and out == "it's 2\n" and not (daemon.box.ws / "made").exists()
    seen = daemon.connect().ask("session.list")["sessions"]
    assert [s["labels"]["key"] for s in seen] == ["conv"]
    report = daemon.connect().ask("call.report", id=seen[0]["session"] + ".1")
    assert report["agent_call_id"] == "toolu_5"


def test_a_hook_lets_not_even_our_own_program_run_outside(daemon):
    for command in (f"{GLOVEBOX} hook", f"{GLOVEBOX}-mcp --help"):
        asked = {"hook_event_name": "PreToolUse", "session_id": "", "tool_name": "Bash", "tool_input": {"command": command}}
        said = hook(daemon.box, **asked)[1]
        code, out, err = run(daemon.box, "bash", "-c", said["updatedInput"]["command"])
        assert code == 127 and out == "" and "No such file" in err


def test_only_our_own_prefix_replaces_the_hook(daemon):
    asked = {"hook_event_name": "PreToolUse", "session_id": "c", "tool_name": "Bash", "tool_input": {"command": "id"}}
    for prefix, is_ours in ((SHIM, True), ("/usr/bin/nice", False), ("/tmp/glovebox-shim/nice", False)):
        out = run(daemon.box, GLOVEBOX, "hook", stdin=asked, CLAUDE_CODE_SHELL_PREFIX=prefix)[1]
        assert (out == "") is is_ours


def test_writing_past_the_sandbox_is_refused_and_ours_are_allowed(daemon):
    for tool in ("Write", "Edit", "MultiEdit", "NotebookEdit", "apply_patch"):
        code, said, _ = hook(daemon.box, hook_event_name="PreToolUse", tool_name=tool, tool_input={})
        assert said["permissionDecision"] == "deny" and "mcp__glovebox__" in said["permissionDecisionReason"]
        code, said, _ = hook(daemon.box, hook_event_name="PermissionRequest", tool_name=tool, tool_input={})
        assert said["decision"]["behavior"] == "deny"
    assert hook(daemon.box, "--allow", "Edit", hook_event_name="PreToolUse", tool_name="Edit", tool_input={})[1] is None
    assert hook(daemon.box, hook_event_name="PreToolUse", tool_name="Read", tool_input={})[:2] == (0, None)
    for event in ("PreToolUse", "PermissionRequest"):
        _, said, _ = hook(daemon.box, hook_event_name=event, tool_name="mcp__glovebox__bash", tool_input={})
        assert "allow" in json.dumps(said)


def test_an_operators_words_come_behind_the_next_tool_once(daemon):
    s = Session(daemon, key="conv")
    s.c.ask("steer", id=s.id, text="look at the tests")
    event = {"hook_event_name": "PostToolUse", "session_id": "conv", "tool_name": "Read"}
    code, said, _ = hook(daemon.box, **event)
    assert said["additionalContext"] == "[operator note from operator (uid 0)] look at the tests\n"
    assert hook(daemon.box, **event)[:2] == (0, None)


@pytest.mark.parametrize("event", [b"", b"{", b"[]", b'{"hook_event_name":"Stop"}', b"{}"])
def test_what_a_hook_does_not_understand_it_blocks(box, event):
    code, out, err = run(box, GLOVEBOX, "hook", stdin=event)
    assert code == 2 and out == "" and err


def test_a_hook_says_no_when_there_is_no_supervisor(box):
    event = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "id"}}
    code, out, _ = run(box, GLOVEBOX, "hook", stdin=event, GLOVEBOX_HOST="nobody")
    said = json.loads(out)["hookSpecificOutput"]
    assert code == 0 and (said["permissionDecision"] == "deny" or os.geteuid() == 0)


# --- agent-config -----------------------------------------------------------------------------------

def test_the_configuration_is_merged_and_added_once(box):
    (box.ws / ".claude").mkdir()
    (box.ws / ".claude" / "settings.json").write_text('{"model": "x", "permissions": {"allow": ["Read"]}}')
    for _ in range(2):
        assert run(box, GLOVEBOX, "agent-config", "claude", "--install", "--prefix")[0] == 0
    settings = json.loads((box.ws / ".claude" / "settings.json").read_text())
    assert settings["model"] == "x" and settings["permissions"]["allow"] == ["Read", "mcp__glovebox"]
    assert len(settings["hooks"]["PreToolUse"]) == 1 and settings["env"]["CLAUDE_CODE_SHELL_PREFIX"] == str(SHIM)
    assert json.loads((box.ws / ".mcp.json").read_text())["mcpServers"]["glovebox"]["command"] == str(BUILD / "glovebox-mcp")
    for _ in range(2):
        assert run(box, GLOVEBOX, "agent-config", "codex", "--install", "--dir", box.base / "codex")[0] == 0
    assert (box.base / "codex" / "config.toml").read_text().count("[mcp_servers.glovebox]") == 1
    (box.ws / ".mcp.json").write_text("{broken")
    code, out, err = run(box, GLOVEBOX, "agent-config", "claude", "--install")
    assert code == 5 and "not touched" in err and (box.ws / ".mcp.json").read_text() == "{broken"
    assert run(box, GLOVEBOX, "agent-config", "emacs")[0] == 2
