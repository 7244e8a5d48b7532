# SPDX-License-Identifier: Apache-2.0
"""The official conformance suite, inspector and SDK, from npm (`make test-mcp` puts them into build/npm)."""
import json
import os
import re
import subprocess

import pytest

from tests.conftest import BUILD, DEADLINE, ROOT, box, daemon  # noqa: F401 (fixtures)
from tests.mcp.test_mcp import MCP, Http

NPM = BUILD / "npm"
NODE = NPM / "node_modules" / "node" / "bin" / "node"
SUITE = NPM / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSPECTOR = NPM / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
# What the suite counts as required, of each of its sets.
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}
# Not required, and not passed: their tools ask for tasks that need input of the client, which ours never do, and for
# parameters that are mirrored in headers, which our tools have none of. The suite's own reference server fails them, too.
NOT_SCORED = re.compile(r"tasks-|http-custom-header-server-validation")


@pytest.fixture
def fixtures(box, monkeypatch):  # noqa: F811
    monkeypatch.setattr("tests.mcp.test_mcp.MCP", BUILD / "glovebox-mcp-fixtures")
    server = Http(box, "--no-token")
    yield server
    server.end()


@pytest.mark.parametrize("era", sorted(REQUIRED))
def test_the_conformance_suite_passes(fixtures, era):
    done = subprocess.run([NODE, SUITE, "server", "--url", f"http://127.0.0.1:{fixtures.port}/mcp", "--requirements", era],
                          capture_output=True, text=True, timeout=DEADLINE * 4, cwd=NPM)
    summary = done.stdout.split("=== SUMMARY ===")[-1]
    passed = re.findall(r"^✓ ([a-z0-9-]+): [1-9]\d* passed, 0 failed", summary, re.M)
    failed = re.findall(r"^✗ ([a-z0-9-]+):", summary, re.M)
    assert done.returncode == 0, summary + done.stderr
    assert len(passed) >= REQUIRED[era] and all(NOT_SCORED.match(x) for x in failed), summary


def inspect(box, era, *words):  # noqa: F811
    home = box.base / "home"
    home.mkdir(exist_ok=True)
    env = dict(box.env, HOME=str(home), PATH=f"{NODE.parent}:{os.environ['PATH']}")
    done = subprocess.run([NODE, INSPECTOR, "--cli", "--protocol-era", era, "--format", "json", MCP, "--workspace", box.ws,
                           *words], capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_calls_tools(daemon, era):  # noqa: F811
    code, out, err = inspect(daemon.box, era, "--method", "tools/list")
    assert code == 0 and '"apply_patch"' in out, out + err
    code, out, err = inspect(daemon.box, era, "--method", "tools/call", "--tool-name", "bash", "--tool-args-json",
                             json.dumps({"command": "echo from $((40 + 2))"}))
    assert code == 0 and "from 42" in out, out + err
    code, out, err = inspect(daemon.box, era, "--method", "tools/call", "--tool-name", "bash", "--tool-arg",
                             "command=exit 3")
    assert code == 5, out + err


@pytest.mark.parametrize("how", ["v1", "v2", "http"])
def test_the_official_sdk_drives_a_session(daemon, how):  # noqa: F811
    server = Http(daemon.box) if how == "http" else None
    words = [f"http://127.0.0.1:{server.port}/mcp", server.token] if server else [MCP, "--workspace", daemon.box.ws]
    script = NPM / "session.mjs"    # beside its packages
    script.write_text((ROOT / "tests" / "mcp" / "session.mjs").read_text())
    done = subprocess.run([NODE, script, how, *map(str, words)], capture_output=True, text=True, timeout=DEADLINE,
                          cwd=daemon.box.ws, env=daemon.box.env)
    assert done.returncode == 0 and "ok: 15 tools" in done.stdout, done.stdout + done.stderr
    if server:
        server.end()
