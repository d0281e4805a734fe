"""The rule about skips, tried on small suites of its own.

Each test writes a suite into a temporary folder beside a copy of tests/conftest.py,
runs it and looks at the outcome. Owns nothing else; the rule itself stands there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
INI = """
[pytest]
markers =
    needs(*tools): x
    slow: x
xfail_strict = true
asyncio_default_fixture_loop_scope = function
"""
LISTED = """
[[skip]]
test = "test_listed.py::*"
tool = "no-such-tool"
reason = "nobody has it"

[[skip]]
test = "test_listed.py::*"
tool = "python3-of-this-run"
reason = "always there"
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with our conftest, a list of allowed skips and one tool that is present."""
    tools = pytester.mkdir("tools")
    (tools / "python3-of-this-run").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tools))
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST.read_text())
    (pytester.path / "allowed_skips.toml").write_text(LISTED)
    return pytester


def run(suite: pytest.Pytester, body: str, name: str = "test_listed") -> pytest.RunResult:
    suite.makepyfile(**{name: "import pytest\n" + body})
    return suite.runpytest_inprocess("-p", "no:cacheprovider")


NEEDS = """
@pytest.mark.needs({tool!r})
def test_it():
    pass
"""


def test_a_missing_tool_skips_by_name(suite: pytest.Pytester) -> None:
    """A listed test without its tool is skipped, and the end of the run says which and why."""
    result = run(suite, NEEDS.format(tool="no-such-tool"))
    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*skipped by name: 1*", "test_listed.py::test_it: needs no-such-tool: nobody has it"]
    )


def test_a_present_tool_runs_the_test(suite: pytest.Pytester) -> None:
    """A tool that answers `--version` lets the test run."""
    result = run(suite, NEEDS.format(tool="python3-of-this-run"))
    result.assert_outcomes(passed=1)


def test_a_tool_that_only_fails_is_absent(suite: pytest.Pytester) -> None:
    """A name on the PATH that cannot even tell its version does not count as a tool."""
    shim = suite.path / "tools" / "no-such-tool"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    run(suite, NEEDS.format(tool="no-such-tool")).assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("test_unlisted", "no-such-tool"),
        ("test_unlisted", "python3-of-this-run"),
        ("test_listed", "another-tool"),
    ],
)
def test_an_unlisted_need_fails(suite: pytest.Pytester, name: str, tool: str) -> None:
    """A pair of test and tool that is not listed fails, whether the tool is there or not."""
    result = run(suite, NEEDS.format(tool=tool), name)
    result.assert_outcomes(errors=1)
    assert result.ret == 1


FORBIDDEN = {
    "skip in a test": "def test_it():\n    pytest.skip('later')",
    "skip mark": "@pytest.mark.skip\ndef test_it():\n    pass",
    "skipif mark": "@pytest.mark.skipif(True, reason='x')\ndef test_it():\n    pass",
    "skip in a fixture": (
        "@pytest.fixture\ndef no():\n    pytest.skip('later')\ndef test_it(no):\n    pass"
    ),
    "skipped module": "pytest.skip('later', allow_module_level=True)",
    "importorskip": "pytest.importorskip('no_such_module_anywhere')",
    "unittest": (
        "import unittest\nclass TestIt(unittest.TestCase):\n"
        "    def test_it(self):\n        self.skipTest('later')"
    ),
    "xfail mark": "@pytest.mark.xfail\ndef test_it():\n    raise OSError",
    "xfail call": "def test_it():\n    pytest.xfail('later')",
    "xpass": "@pytest.mark.xfail\ndef test_it():\n    pass",
    "lenient xpass": "@pytest.mark.xfail(strict=False)\ndef test_it():\n    pass",
}


@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_anything_else_fails_the_run(suite: pytest.Pytester, body: str) -> None:
    """Every other way not to run or not to pass makes the run fail and is no skip."""
    result = run(suite, body)
    outcomes = result.parseoutcomes()
    assert result.ret != 0
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    assert not {"skipped", "xfailed", "xpassed"} & outcomes.keys()


def test_a_slow_test_has_more_time(suite: pytest.Pytester) -> None:
    """The mark `slow` raises the limit of a test that names none itself."""
    body = """
@pytest.mark.slow
def test_it(request):
    assert request.node.get_closest_marker("timeout").args == (300,)

@pytest.mark.slow
@pytest.mark.timeout(7)
def test_own(request):
    assert request.node.get_closest_marker("timeout").args == (7,)
"""
    run(suite, body).assert_outcomes(passed=2)


def test_what_drives_other_programs_is_slow(suite: pytest.Pytester) -> None:
    """Tests in e2e are left out of the quick part without being marked one by one."""
    suite.mkdir("e2e").joinpath("test_far.py").write_text("def test_it():\n    pass\n")
    suite.makepyfile(test_near="def test_it():\n    pass\n")
    suite.runpytest_inprocess("-p", "no:cacheprovider", "-m", "not slow").assert_outcomes(
        passed=1, deselected=1
    )
