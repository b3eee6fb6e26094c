"""The name of a model that is not there: what was meant is proposed, and the hub is asked once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.models import hub, load
from reasonlens.rundir import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Answer:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of a hub that cannot be reached."""
    urls: list[str] = []

    class Session:
        def request(self, method: str, url: str, **options: Any) -> Answer:
            urls.append(f"{method} {url}")
            raise ConnectionError("no route")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "get_session", Session)
    return urls


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("smollm2-135", "smollm2-135m"),
        ("SmolLM2-135M", "smollm2-135m"),
        ("smollm2", "smollm2-135m"),
        ("smolm2-135m", "smollm2-135m"),
        ("organisms/rl-timing", "organism/rl-timing"),
        ("orgnism/base-timing", "organism/base-timing"),
    ],
)
def test_a_misspelt_built_in_name_is_proposed_unasked(attempts: list[str], name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"^there is no model '{name}'; did you mean {meant}\\?$"):
        load(name)
    assert attempts == []


def test_a_hub_that_cannot_be_reached_is_asked_once(attempts: list[str]) -> None:
    with pytest.raises(InputError, match="'some-org/some-model'.*hub cannot be reached. Built-in are smollm2-135m, "):
        load("some-org/some-model")
    (attempt,) = attempts
    assert attempt.startswith("HEAD ") and "some-org/some-model" in attempt


@pytest.mark.parametrize("command", ["locate", "collect"])
def test_a_command_says_so_in_a_line_and_ends_with_2(attempts: list[str], command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [command, "--model", "some-org/some-model", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2 and len(attempts) == 1
    (line,) = result.stderr.strip().splitlines()
    assert "hub cannot be reached" in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("RepoNotFound", "has no such repository, or it is private. Check its spelling, or log in"),
        ("GatedRepo", "its repository is gated. Ask for access"),
        ("RevisionNotFound", "has no such revision"),
    ],
)
def test_what_the_hub_refuses_is_said_once(monkeypatch: pytest.MonkeyPatch, code: str, message: str) -> None:
    class Session:
        def request(self, *_: Any, **__: Any) -> Answer:
            return Answer(X_Error_Code=code)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "get_session", Session)
    with pytest.raises(InputError, match=f"^cannot load the model 'some-org/some-model': .*{message}"):
        load("some-org/some-model")


@pytest.mark.parametrize("name", ["models/tiny/v1", "./tiny", "../tiny", "~/tiny-model", "tiny/", "/tiny", "tiny.gguf"])
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(attempts: list[str], name: str) -> None:
    with pytest.raises(InputError, match=f"there is no model at {name}: no such file or directory"):
        load(name)
    assert attempts == []


def test_a_repository_in_the_cache_loads_without_a_connection(
    tiny, attempts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--some-org--some-model"
    tiny().model.save_pretrained(repository / "snapshots" / COMMIT)
    tiny().tokenizer.save_pretrained(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    loaded = load("some-org/some-model", device="cpu")
    assert len(attempts) == 1 and loaded.name == "some-org/some-model" and loaded.revision == COMMIT
    torch.testing.assert_close(loaded.model.lm_head.weight, tiny().model.lm_head.weight)
