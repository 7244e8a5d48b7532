# SPDX-License-Identifier: Apache-2.0
"""The built-in tools, as an agent's model uses them, and manifests good and bad."""
import http.server
import json
import os
import subprocess
import threading

import pytest

from tests.agent_loop import Refused
from tests.conftest import BUILD, DEADLINE, GLOVEBOX, ROOT, Daemon, Session


class Tools(Session):
    """A session whose calls are calls of tools."""

    def tool(self, name, /, **tool_input):
        result = self.c.ask("call.start", session=self.id, tool=name, input=tool_input)
        if "text" not in result:
            result = self.c.ask("call.wait", id=result["id"], text=30000)
        return result

    def ok(self, name, /, **tool_input):
        result = self.tool(name, **tool_input)
        assert not result["is_error"], result["text"]
        return result["text"]

    def bad(self, name, /, **tool_input):
        result = self.tool(name, **tool_input)
        assert result["is_error"], result["text"]
        return result["text"]


@pytest.fixture
def s(daemon):
    return Tools(daemon, role="agent")


NAMES = ["apply_patch", "bash", "exec", "fetch_url", "glob", "grep", "kill", "list_changes", "list_dir", "read_file",
         "str_replace_based_edit_tool", "undo", "wait", "write_file", "write_stdin"]


def test_the_list_has_every_tool_with_schema_and_annotations(s):
    tools = {t["name"]: t for t in s.c.ask("tools.list")["tools"]}
    assert sorted(tools) == NAMES
    for t in tools.values():
        assert t["title"] and t["description"] and t["inputSchema"]["type"] == "object"
        assert set(t["annotations"]) >= {"readOnlyHint", "destructiveHint"}
    assert tools["bash"]["inputSchema"]["properties"].keys() >= {"command", "restart", "timeout_ms"}
    assert tools["str_replace_based_edit_tool"]["inputSchema"]["required"] == ["command", "path"]


# --- bash ---------------------------------------------------------------------

def test_a_shells_directory_variables_and_functions_last(s):
    s.ok("bash", command="mkdir -p d; cd d; A='one two'; export B=$'x\\ny'; f() { echo \"f $1\"; }; alias q='echo qq'")
    said = s.ok("bash", command='pwd; echo "$A/$B"; f 1; env | grep -c ^B=')
    assert said.startswith(f"{s.root}/d\none two/x\ny\nf 1\n1\n")
    assert s.ok("bash", command="pwd; exit 0", workdir="/usr").startswith("/usr\n")
    assert "Nothing is changed" not in s.ok("list_changes")
    assert "restarted" in s.ok("bash", restart=True)
    assert s.ok("bash", command='pwd; echo "[$A]"').startswith(f"{s.root}\n[]\n")
    assert "command" in s.bad("bash")


def test_an_exit_code_and_both_streams_are_told(s):
    r = s.tool("bash", command="echo out; echo err >&2; exit 3")
    assert r["is_error"] and r["text"].startswith("out\n[stderr]\nerr\n[exit 3 · ")
    assert r["structured"]["exit_code"] == 3 and r["structured"]["stdout"] == "out\n"
    assert r["structured"]["stderr"] == "err\n" and r["structured"]["call_id"].startswith(s.id)


def test_changes_are_named_as_a_model_would(s):
    assert "2 files changed: added d, added d/new]" in s.ok("bash", command="mkdir d; echo x > d/new")


def test_a_timeout_ends_all_of_it(s):
    r = s.tool("bash", command="sleep 1000 & sleep 1000", timeout_ms=300)
    assert r["is_error"] and r["structured"]["outcome"] == "timed_out" and "0.300 s" in r["text"]
    assert s.ok("bash", command="echo still here").startswith("still here\n")


def test_a_long_output_keeps_head_and_tail(s):
    r = s.tool("bash", command="seq 1 200000")
    assert r["text"].startswith("1\n2\n") and "bytes left out" in r["text"] and "\n200000\n[exit 0" in r["text"]
    assert len(r["text"]) < 40000 and r["structured"]["left_out"] > 1000000


def test_bytes_that_are_no_text_are_shown_as_text(s):
    r = s.tool("bash", command=r"printf 'a\xffb\0c\n'; touch $'\xfe'")
    assert r["text"].startswith("a\ufffdb\ufffdc\n") and "\ufffd" in r["structured"]["changes"][0]["path"]


def test_in_the_background_it_is_typed_into_and_ended(s):
    r = s.tool("bash", command="while read x; do echo got $x; done; echo over", run_in_background=True)
    call = r["structured"]["call_id"]
    assert not r["is_error"] and call in r["text"] and "write_stdin" in r["text"]
    said = s.tool("write_stdin", call_id=call, chars="one\n", yield_time_ms=300)
    assert "still running" in said["text"]
    said = s.tool("write_stdin", call_id=call, chars="two\n", close=True, yield_time_ms=30000)
    assert said["structured"]["state"] == "done" and "got two\nover\n" in said["text"]
    other = s.tool("exec", argv=["sleep", "1000"], run_in_background=True)["structured"]["call_id"]
    assert "still running" in s.ok("wait", call_id=other, timeout_ms=50)
    assert "none left" in s.ok("kill", call_id=other)
    assert "killed" in s.tool("wait", call_id=other)["text"]


def test_exec_takes_words_directory_variables_and_input(s):
    s.ok("bash", command="mkdir sub")
    said = s.ok("exec", argv=["sh", "-c", "pwd; echo $V; cat"], cwd="sub", env={"V": "a b"}, stdin="typed")
    assert said.startswith(f"{s.root}/sub\na b\ntyped\n")
    assert "no such program" in s.bad("exec", argv=["no-such-program"])
    with pytest.raises(Refused, match="did you mean \"argv\""):
        s.tool("exec", argvs=["x"])


def test_a_denial_is_explained_in_the_text(s):
    text = s.bad("bash", command="cat /etc/shadow; python3 -c \"import socket; "
                                 "socket.create_connection(('192.0.2.1', 80), 2)\"")
    assert "[denied by the sandbox: " in text and "/etc/shadow" in text and "network" in text


# --- files --------------------------------------------------------------------

EDIT = "str_replace_based_edit_tool"


def test_the_edit_tool_does_what_models_expect(s):
    assert "created" in s.ok(EDIT, command="create", path="a.txt", file_text="one\ntwo\nthree\n")
    assert "     2\ttwo\n" in s.ok(EDIT, command="view", path="a.txt")
    assert "     3\tthree" in s.ok(EDIT, command="view", path="a.txt", view_range=[2, -1])
    assert "     2\tTWO\n" in s.ok(EDIT, command="str_replace", path="a.txt", old_str="two", new_str="TWO")
    assert "did not appear verbatim" in s.bad(EDIT, command="str_replace", path="a.txt", old_str="zwei", new_str="")
    assert "lines: [1, 2, 3]" in s.bad(EDIT, command="str_replace", path="a.txt", old_str="\n", new_str="")
    s.ok(EDIT, command="insert", path="a.txt", insert_line=0, insert_text="zero")
    s.ok(EDIT, command="insert", path="a.txt", insert_line=4, new_str="end")
    assert s.ok("bash", command="cat a.txt").startswith("zero\none\nTWO\nthree\nend\n[exit 0")
    assert "[0, 5]" in s.bad(EDIT, command="insert", path="a.txt", insert_line=9, insert_text="x")
    assert "does not exist" in s.bad(EDIT, command="view", path="b.txt")
    assert "a.txt" in s.ok(EDIT, command="view", path=".")


def test_files_are_read_written_listed_and_found(s):
    assert "Created" in s.ok("write_file", path="x/y/z.c", content="int a;\nint b;\n")
    assert "Overwrote" in s.ok("write_file", path="x/y/z.c", content="int a;\nlong b;\n")
    assert s.ok("read_file", path="x/y/z.c", offset=2).startswith("     2\tlong b;\n")
    assert "1 more lines" in s.ok("read_file", path="x/y/z.c", limit=1)
    assert s.ok("list_dir", depth=3).startswith("x/\n  y/\n    z.c\n")
    assert s.ok("glob", pattern="**/*.{c,h}").startswith("x/y/z.c\n")
    assert "No files match" in s.ok("glob", pattern="*.c")
    assert "x/y/z.c:2:long b;" in s.ok("grep", pattern="^long +b")
    assert "No matches" in s.ok("grep", pattern="nothing here")
    assert s.ok("grep", pattern="INT", ignore_case=True, output_mode="count").startswith("x/y/z.c:1\n")


def test_a_file_tool_does_not_hang_or_lose_a_mode(s):
    s.ok("bash", command="mkfifo f; printf '#!/bin/sh\\necho one\\n' > p; chmod 755 p; ln -s p l; printf 'a\\0b' > bin")
    assert "neither a file" in s.bad("read_file", path="f")
    assert "neither a file" in s.bad("write_file", path="f", content="x")
    assert "binary" in s.ok("read_file", path="bin") and "binary" in s.bad(EDIT, command="view", path="bin")
    s.ok(EDIT, command="str_replace", path="l", old_str="one", new_str="two")
    assert s.ok("bash", command="./p; test -L l && echo link; ls").startswith("two\nlink\nbin\nf\nl\np\n")


def test_our_own_search_is_there_where_ripgrep_is_not(tmp_path):
    (tmp_path / "a").write_text("one\ntwo\nthree\n")
    work = {"pattern": "t[wh]", "context": 1}
    # the same program, outside, where /usr/bin/rg is hidden by a mount of its own
    done = subprocess.run(["unshare", "-m", "sh", "-c",
                           f"test ! -e /usr/bin/rg || mount --bind /dev/null /usr/bin/rg; {BUILD}/tools/grep"],
                          input=json.dumps(work).encode(), cwd=tmp_path, capture_output=True, timeout=DEADLINE)
    assert done.stdout.decode() == "a-1-one\na:2:two\na:3:three\n", done.stderr


# --- apply_patch ----------------------------------------------------------------

def test_a_patch_adds_changes_moves_and_deletes(s):
    s.ok("bash", command="printf 'a\\nb\\nc\\nd\\ne\\n' > f; echo gone > g; printf 'x\\r\\ny\\r\\n' > dos; mkdir d")
    text = s.ok("apply_patch", input="""*** Begin Patch
*** Add File: new/n.txt
+hello
+
*** Delete File: g
*** Update File: f
*** Move to: d/f2
@@ a
-b
+B
@@
 d
-e
+E
+F
*** End of File
*** Update File: dos
@@
 x
-y
+z
*** End Patch
""")
    assert "A new/n.txt\nD g\nM d/f2\nM dos\n" in text
    said = s.ok("bash", command="cat d/f2 new/n.txt; od -c dos | head -1; ls")
    assert said.startswith("a\nB\nc\nd\nE\nF\nhello\n\n") and "x  \\r  \\n   z  \\r  \\n" in said and "\nd\ndos\nnew\n" in said


@pytest.mark.parametrize("patch,why", [
    ("nonsense", "Begin Patch"),
    ("*** Begin Patch\n*** End Patch", "changes no file"),
    ("*** Begin Patch\n*** Delete File: no\n*** End Patch", "does not exist"),
    ("*** Begin Patch\n*** Delete File: f\n*** Update File: g\n@@\n-zzz\n+y\n*** End Patch", "not found in g"),
    ("*** Begin Patch\n*** Delete File: f\n*** Update File: g\n@@ nowhere\n-g\n+y\n*** End Patch", "after @@"),
    ("*** Begin Patch\n*** Delete File: f\n*** Update File: g\n@@\n?g\n*** End Patch", "line 5"),
    ("*** Begin Patch\n*** Delete File: f\n*** Update File: g\n*** Move to: d\n@@\n-g\n+y\n*** End Patch", "exists"),
    ("*** Begin Patch\n*** Delete File: f\n*** Delete File: f\n*** End Patch", "twice"),
    ("*** Begin Patch\n*** Delete File: f\n*** Add File: d\n+x\n*** End Patch", "directory"),
    ("*** Begin Patch\n*** Add File: h\n+x\n*** Add File: ro/x\n+x\n*** Update File: g\n@@\n-g\n+G\n*** End Patch",
     "nothing was changed"),
])
def test_a_patch_that_does_not_fit_changes_nothing(s, patch, why):
    s.ok("bash", command="echo f > f; echo g > g; mkdir -p d ro; chmod 555 ro")
    before = s.ok("bash", command="find . -type f | sort | xargs md5sum").split("[exit")[0]
    assert why in s.bad("apply_patch", input=patch)
    assert s.ok("bash", command="find . -type f | sort | xargs md5sum").split("[exit")[0] == before


# --- changes, undo, network --------------------------------------------------------

def test_an_agent_sees_and_undoes_its_own_changes(s):
    first = s.tool("write_file", path="a", content="1\n")["structured"]["call_id"]
    second = s.tool("write_file", path="a", content="2\n")["structured"]["call_id"]
    assert "added     " in s.ok("list_changes") and "+2" in s.ok("list_changes", diff=True)
    with pytest.raises(Refused, match="later calls depend"):
        s.tool("undo", call_id=first)
    assert "Undone" in s.ok("undo", call_id=second)
    assert s.ok("bash", command="cat a").startswith("1\n")
    with pytest.raises(Refused):
        s.tool("undo", call_id="s-nobody.1")


def test_fetch_url_has_the_sessions_network_and_explains_when_that_is_none(s):
    text = s.bad("fetch_url", url="http://192.0.2.1/")
    assert "network.mode" in text
    assert "only http" in s.bad("fetch_url", url="file:///etc/passwd")
    server = s.tool("bash", command="echo hello > page; exec python3 -m http.server 8765 --bind 127.0.0.1",
                    run_in_background=True)["structured"]["call_id"]
    s.ok("bash", command="for i in $(seq 500); do (: < /dev/tcp/127.0.0.1/8765) 2>/dev/null && break; done")
    text = s.ok("fetch_url", url="http://127.0.0.1:8765/page")
    assert text.startswith("HTTP 200") and "\nhello\n" in text
    s.ok("kill", call_id=server)


def test_a_held_call_says_so_and_wait_goes_on_with_it(box):
    policy = box.base / "p.json"
    policy.write_text('{"ask": [{"tool": "bash", "argv": "*touch*"}]}')
    d = Daemon(box, "--policy", policy)
    s = Tools(d, role="agent")
    started = s.c.ask("call.start", session=s.id, tool="bash", input={"command": "touch x; echo done"})
    assert started["state"] == "held"
    waiting = s.c.ask("call.wait", id=started["id"], text=1000, timeout_ms=50)
    assert "waiting for a person's approval" in waiting["text"] and not waiting["is_error"]
    d.connect().ask("approval.approve", id=started["id"], digest=started["digest"], scope="once")
    assert s.ok("wait", call_id=started["id"]).startswith("done\n")
    assert d.stop() == 0


# --- manifests -------------------------------------------------------------------------

GOOD = {"name": "shout", "title": "Shout", "description": "Says it loudly.",
        "input": {"type": "object", "properties": {"word": {"type": "string", "maxLength": 9}}, "required": ["word"],
                  "additionalProperties": False},
        "annotations": {"readOnlyHint": True}, "run": {"argv": ["./shout", "--word={word}"]}, "limits": {"wall": "5s"}}


def test_a_tool_of_the_owners_is_run_from_its_own_directory(box):
    tools = box.base / "tools"
    tools.mkdir()
    (tools / "shout.json").write_text(json.dumps(GOOD))
    (tools / "shout").write_text("#!/bin/sh\necho \"$0 $1!\"; echo x > \"$0\"\n")
    (tools / "shout").chmod(0o755)
    d = Daemon(box, "--tools", tools)
    s = Tools(d, role="agent")
    text = s.tool("shout", word="hey")["text"]
    assert text.startswith("/glovebox/tools.1/shout --word=hey!\n") and "Read-only" in text
    with pytest.raises(Refused, match="at most 9"):
        s.tool("shout", word="far too long")
    with pytest.raises(Refused, match='there is no tool "shuot"; did you mean "shout"'):
        s.tool("shuot", word="x")
    assert d.stop() == 0


@pytest.mark.parametrize("change,why", [
    ({"nmae": "x"}, 'did you mean "name"'),
    ({"name": "a b"}, "letters"),
    ({"name": "bash"}, 'a tool "bash" already'),
    ({"title": None}, "title"),
    ({"input": {"type": "array"}}, "input"),
    ({"input": {"type": "object", "properties": {"word": {"type": "string", "pattern": "x"}}}}, "no word of a schema"),
    ({"input": {"type": "object", "properties": {"word": {"type": "strnig"}}}}, "input.word"),
    ({"run": {"argv": ["x", "{nothing}"]}}, "{nothing}"),
    ({"run": {"argv": []}}, "argv"),
    ({"run": {"argv": ["x"], "cwd": "word", "timeout": "word"}}, "integer"),
    ({"run": {"method": "reboot"}}, "wait, kill"),
    ({"annotations": {"safeHint": True}}, "safeHint"),
    ({"limits": {"wall": "soon"}}, "duration"),
    ({"needs": ["gpu"]}, "network"),
])
def test_a_wrong_manifest_stops_the_daemon_and_is_named(box, change, why):
    tools = box.base / "tools"
    tools.mkdir()
    (tools / "m.json").write_text(json.dumps({**GOOD, **change}))
    done = box.command("daemon", "--root", box.base, "--tools", tools)
    err = done.stderr.decode()
    assert done.returncode != 0 and "m.json" in err and why in err, err


def test_a_directory_anybody_can_write_is_refused(box):
    tools = box.base / "tools"
    tools.mkdir()
    tools.chmod(0o777)
    done = box.command("daemon", "--root", box.base, "--tools", tools)
    assert done.returncode != 0 and "chmod o-w" in done.stderr.decode()
