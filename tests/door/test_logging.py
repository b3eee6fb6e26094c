from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from reasonlens.cli.app import app

SPEAK = """
import logging
import reasonlens
logging.getLogger("reasonlens.activations.store").warning("a shard is torn")
print(logging.getLogger("reasonlens").handlers)
"""


def test_the_library_alone_logs_nowhere() -> None:
    done = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout == "[<NullHandler (NOTSET)>]\n"


def test_a_program_that_configures_logging_hears_the_library() -> None:
    code = f"import logging\nlogging.basicConfig(level='INFO')\n{SPEAK}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "WARNING:reasonlens.activations.store:a shard is torn\n"


def test_the_command_line_prints_plain_lines_on_stderr_and_takes_its_handler_away(tiny, tmp_path) -> None:
    import logging

    before = logging.getLogger("reasonlens").handlers[:]
    model = tiny("llama")
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    command = ["collect", "--model", str(tmp_path / "model"), "--device", "cpu", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    notes = done.stderr.splitlines()
    assert notes[-2].startswith("seconds: ") and notes[-1].startswith("next: reasonlens probe ")
    assert "seconds" not in done.stdout and "next" not in done.stdout
    assert logging.getLogger("reasonlens").handlers == before
