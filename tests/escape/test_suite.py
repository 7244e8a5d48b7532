# SPDX-License-Identifier: Apache-2.0
"""The escape suite: every attack of attacker.py on this build, in each tier, and on sandboxes that must fail it."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess

import pytest

from tests.conftest import BUILD, DEADLINE
from tests.escape import attacker

_loader = importlib.machinery.SourceFileLoader("escape_run", os.path.join(os.path.dirname(__file__), "run"))
_spec = importlib.util.spec_from_loader("escape_run", _loader)
suite = importlib.util.module_from_spec(_spec)
_loader.exec_module(suite)

NAMES = [name for name, _, _ in attacker.CASES]


def by_case(results):
    assert results and results[-1]["case"] == "end", results[-3:]
    return {r["case"]: r["got"] for r in results[:-1]}


@pytest.fixture(scope="module")
def here():
    results, code, err = suite.run(None, "root", [])
    assert code == 0, err
    return by_case(results)


def test_every_attack_was_made(here):
    assert list(here) == NAMES and len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_it_holds(here, name):
    assert here[name] is None


@pytest.mark.parametrize("policy", ["strict", "open"])
def test_the_other_policies_hold_but_for_what_they_allow(policy):
    allowed = {"strict": set(), "open": {"nothing_is_traced", "the_memory_of_others_is_closed", "memory_is_not_placed", "processes_are_limited", "space_in_a_tmpfs_is_limited"}}
    words = [str(BUILD / "glovebox"), "run", "--discard", "--quiet", "--policy", policy, "--"]
    results, code, err = suite.run(words, "root", [n for n in NAMES if n != "names_in_a_tmpfs_are_limited"])
    broken = {c for c, got in by_case(results).items() if got}
    assert broken <= allowed[policy], {c: by_case(results)[c] for c in broken - allowed[policy]}


@pytest.mark.parametrize("tier,says", [
    ("masked", "cannot start"),
])
def test_where_it_cannot_hold_it_does_not_start_and_says_so(tier, says):
    results, code, err = suite.run(None, tier, NAMES[:1])
    assert results == [] and code == 125 and says in err


@pytest.fixture(scope="module", params=["user", "nocgroup"])
def with_less(request):
    results, code, err = suite.run(None, request.param, [])
    assert code == 0, err
    return by_case(results)


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_with_less(with_less, name):
    """As an unprivileged user, and as root without control groups: pids by the rlimit, memory by looking."""
    assert with_less[name] is None


@pytest.mark.parametrize("tier,says", [("user", "not all is watched"), ("nocgroup", "no control groups can be made")])
def test_what_is_less_is_said(tier, says):
    results, code, err = suite.run(None, tier, NAMES[:1], quiet=False)
    assert code == 0 and says in err and "best effort" in err


# --- controls: the suite must be able to fail ----------------------------------------------------

# "privileges" is no control: the tool's parent has dropped them before it, so leaving it out changes nothing
@pytest.mark.parametrize("stage,must_break", [
    ("filter", {"no_privilege_is_left", "bpf_and_perf_are_refused", "strange_families_are_refused", "nothing_is_traced", "io_uring_is_refused"}),
    ("limits", {"no_limit_is_raised"}),
])
def test_a_sandbox_without_a_stage_fails_the_matching_cases(monkeypatch, stage, must_break):
    monkeypatch.setenv("GLOVEBOX_LEAVE_OUT", stage)
    words = [str(BUILD / "weak" / "glovebox"), "run", "--discard", "--quiet", "--"]
    results, code, err = suite.run(words, "root", sorted(must_break))
    broken = {c for c, got in by_case(results).items() if got}
    assert broken & must_break, (results, err)
    if stage == "filter":
        assert broken == must_break


def test_no_sandbox_at_all_fails_most_cases():
    """In namespaces of its own, so that nothing here is harmed."""
    slow = {"names_in_a_tmpfs_are_limited", "processes_are_limited"}
    results, code, err = suite.run(["env"], "root", [n for n in NAMES if n not in slow])
    broken = {c for c, got in by_case(results).items() if got}
    assert len(broken) > len(NAMES) / 2
    assert {"the_secrets_of_the_machine_are_not_read", "no_secret_comes_by_the_environment", "the_machines_loopback_is_not_reached", "no_device_node_is_made"} <= broken


@pytest.mark.parametrize("stage", ["limits", "privileges", "keyring", "file descriptors", "working directory", "landlock", "filter"])
def test_a_stage_that_fails_ends_the_call(box, stage):
    """Nothing fails open."""
    done = subprocess.run([BUILD / "weak" / "glovebox", "run", "--", "touch", "ran"], cwd=box.ws, env={**box.env, "GLOVEBOX_BREAK": stage},
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 125 and f'"{stage}"' in done.stderr and "Input/output error" in done.stderr, done.stderr
    assert not any((box.ws).iterdir())


def test_the_release_has_no_such_switch(box):
    done = subprocess.run([BUILD / "glovebox", "run", "--", "true"], cwd=box.ws, env={**box.env, "GLOVEBOX_BREAK": "filter", "GLOVEBOX_LEAVE_OUT": "filter"},
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0
    assert b"GLOVEBOX_BREAK" not in (BUILD / "glovebox").read_bytes()


def test_another_sandbox_can_be_asked():
    if not shutil.which("bwrap"):
        pytest.fail("bubblewrap is missing: scripts/packages test installs it")
    results, code, err = suite.run(["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
                                    "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", "/var/tmp", "/var/tmp"], "root",
                                   ["the_secrets_of_the_machine_are_not_read", "no_secret_comes_by_the_environment", "the_machines_loopback_is_not_reached"])
    got = by_case(results)
    assert got["the_machines_loopback_is_not_reached"] is None and got["no_secret_comes_by_the_environment"]
