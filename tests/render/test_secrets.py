"""Five hundred secrets, planted wherever a report reads from, in every format: none may come out."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leaks import held
from render import samples

from hfmemdebug.cli.output import OutputOptions
from hfmemdebug.decode import decode, encode
from hfmemdebug.errors import InputError
from hfmemdebug.leak import Site
from hfmemdebug.measure.failure import describe
from hfmemdebug.origin.paths import path_to
from hfmemdebug.recording.end import End, LimitUsage, Reclaim, Trace
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, LoadReport, Workload
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.render.picture import picture, render_png, render_svg
from hfmemdebug.render.redact import Redactor
from hfmemdebug.render.runs import comparison_markdown, comparison_terminal
from hfmemdebug.result import Comparison, Finding, Result

RANDOM = random.Random(500)
HOME, CWD, USER, HOST = "/data/homes/zephyrine", "/data/homes/zephyrine/thesis", "zephyrine", "gpu-quokka-17"
PER_RUN = 10


def letters(count: int, of: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choice(of) for _ in range(count))


def word() -> str:
    """A name that is in no report by itself."""
    return "q" + letters(9, string.ascii_lowercase)


ENVIRON = {
    f"SERVICE{n}_{kind}": letters(24)
    for n in range(15)
    for kind in ("TOKEN", "API_KEY", "SECRET", "PASSWORD")
}
_HEX = string.hexdigits.lower()[:16]
# Each gives a text as it may stand in a report's sources, and what of it must not come out.
KINDS: dict[str, Callable[[], tuple[str, str]]] = {
    "Hugging Face token": lambda: ((s := f"hf_{letters(34)}"), s),
    "old Hub token": lambda: ((s := f"api_org_{letters(34)}"), s),
    "AWS key": lambda: ((s := f"AKIA{letters(16, string.ascii_uppercase + string.digits)}"), s),
    "Google key": lambda: ((s := f"AIza{letters(35)}"), s),
    "GitHub token": lambda: ((s := f"ghp_{letters(36)}"), s),
    "GitLab token": lambda: ((s := f"glpat-{letters(20)}"), s),
    "OpenAI key": lambda: ((s := f"sk-{letters(40)}"), s),
    "Slack token": lambda: ((s := f"xoxb-{letters(12, string.digits)}-{letters(24)}"), s),
    "web token": lambda: (f"eyJ{letters(20)}.{(s := letters(40))}.{letters(30)}", s),
    "user in a URL": lambda: (f"https://me:{(s := letters(14))}@proxy.example.org:3128/", s),
    "bucket in a URL": lambda: (f"s3://{(s := letters(12))}:{letters(30)}@bucket/rows.parquet", s),
    "signed URL": lambda: (f"https://example.org/a.arrow?X-Amz-Date=1&X-Amz-Signature={(s := letters(64, _HEX))}", s),
    "Azure URL": lambda: (f"https://acc.blob.core.windows.net/c/x?sv=1&sig={(s := letters(40))}&se=2", s),
    "query token": lambda: (f"https://example.org/x?a=1&token={(s := letters(18))}", s),
    "header": lambda: (f"Authorization: Bearer {(s := letters(30))}", s),
    "option": lambda: (f"train.py --hub-token {(s := letters(20))} --rows 5", s),
    "option with =": lambda: (f"train.py --password={(s := letters(12))}", s),
    "assignment": lambda: (f"WANDB_API_KEY={(s := letters(40, _HEX))} python train.py", s),
    "JSON": lambda: (f'{{"client_secret": "{(s := letters(22))}"}}', s),
    "AWS secret": lambda: (f"aws_secret_access_key = {(s := letters(40))}", s),
    "AWS session": lambda: (f"https://b.s3.amazonaws.com/x?X-Amz-Security-Token={(s := letters(60))}&a=1", s),
    "Google signed": lambda: (f"https://storage.googleapis.com/b/x?X-Goog-Credential={(s := letters(30))}%40p", s),
    "service account": lambda: (
        f'{{"private_key_id": "{letters(40, _HEX)}", "private_key": "-----BEGIN PRIVATE KEY-----;{(s := letters(64))}'
        f'-----END PRIVATE KEY-----"}}', s),
    "SSH key": lambda: (
        f"-----BEGIN OPENSSH PRIVATE KEY----- {(s := letters(70))} {letters(70)} -----END OPENSSH PRIVATE KEY-----", s),
    "Azure account": lambda: (f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={(s := letters(86))}==;", s),
    "Azure SAS": lambda: (f"SharedAccessSignature=sv=2024&sig={(s := letters(43))}%3D&se=2026", s),
    "PyPI token": lambda: ((s := f"pypi-{letters(80)}"), s),
    "npm token": lambda: ((s := f"npm_{letters(36)}"), s),
    "Databricks token": lambda: ((s := f"dapi{letters(32, _HEX)}"), s),
    "GitHub app in a remote": lambda: (f"https://x-access-token:{(s := f'ghs_{letters(36)}')}@github.com/a/b.git", s),
    "YAML": lambda: (f"hub_token: {(s := 'x9' + letters(18))}", s),
    "netrc": lambda: (f"machine huggingface.co login me password {(s := 'x7' + letters(12))}", s),
    "cookie": lambda: (f"Cookie: session={(s := letters(26))}", s),
    "home in an address": lambda: (f"file%3A%2F%2F%2Fhome%2F{(s := word())}%2Fds", s),
    "user in an address": lambda: (f"open?path=%2Fscratch%2F{USER}%2F{word()}", USER),
    "a Windows home": lambda: (f"C:/Users/{(s := word())}/ds", s),
    "another's home": lambda: (f"/homes/{(s := word())}/ds", s),
    "home behind a link": lambda: (f"/mnt/nvme0/zeph/{word()}/rows.arrow", "/mnt/nvme0/zeph"),
    "environment": lambda: (f"got {(s := ENVIRON.pop(next(iter(ENVIRON))))} back", s),
    "home": lambda: (f"{HOME}/{word()}/rows.arrow", HOME),
    "working directory": lambda: (f"File {CWD}/train.py, line {RANDOM.randrange(900)}", "zephyrine/thesis"),
    "somebody's home": lambda: (f"/home/{(s := word())}/ds", s),
    "a Mac's home": lambda: (f"/Users/{(s := word())}/ds", s),
    "user and host": lambda: (f"{USER}@{HOST}:{RANDOM.randrange(9000)}", USER),
}  # fmt: skip


_TRIAL = {"bytes": 5, "outcome": "completed", "seconds": 1.0, "major_faults": 1, "stalled_seconds": 0.1}


class Planted:
    """A run whose every text holds all of some secrets."""

    def __init__(self, texts: list[str], dataset: str) -> None:
        self.text = text = " ; ".join(texts)
        loaded = {
            "source": "Hub", "name": dataset, "private": True, "storage": f"memory-mapped {texts[0]}", "split": text,
            "rows": 5, "columns": [text], "record_batches": 1, "data_bytes": 5, "from_cache": True,
            "notes": [f"the copy of '{dataset}' is used", text],
            "files": [{"path": f"{HOME}/.cache/{dataset.replace('/', '___')}/{text}/x.arrow", "size_bytes": 5,
                       "filesystem": "ext4", "memory_backed": False}],
        }  # fmt: skip
        arm = replace(
            samples.MAPPED, name="memory-mapped", outcome="failed", outcome_detail=text, recording=f"{HOME}/{text}",
            loaded=loaded, reclaim={**(samples.MAPPED.reclaim or {}), "why_not": text, "how": text},
        )  # fmt: skip
        self.result: Result = replace(
            samples.LEAK, summary=f"Leak in {dataset}: {text}", advice=(text, *texts), warnings=(text, *texts, dataset),
            findings=(Finding("python-objects", "leak", 9, 1.0, (1.0, 1.0), "growing", False, text, "memory-mapped"),),
            sites=(Site(f"{CWD}/{text}.py", 3, text, "python", 1.0),),
            holders=(held("list", text, module=text),),
            arms=(arm,), environment={"malloc settings": text, **{f"label {n}": t for n, t in enumerate(texts)}},
            command_line=f"hfmemdebug diagnose {dataset} {text}",
            limit={"bytes": 5, "how": text, "outcome": text},
            fit={"smallest_bytes": 5, "free": {**_TRIAL, "bytes": None, "why": text},
                 "tried": [{**_TRIAL, "outcome": text, "detail": text}, _TRIAL]},
            processes=({"pid": 7, "role": text, "rss_bytes": 5, "pss_bytes": 5,
                        "files": [{"path": f"{HOME}/{text}/x.arrow", "resident_bytes": 5, "kind": text}]},),
            shared_memory=({"path": f"/dev/shm/{text}", "size_bytes": 5, "holders": [7]},),
            reproduce=f"hfmemdebug synth {text}\nhfmemdebug diagnose {dataset}",
        )  # fmt: skip
        recording = samples.recording(slices=6)
        header = replace(
            recording.header,
            loaded=decode(LoadReport, loaded),
            command_line=f"hfmemdebug {text}",
            missing=(text,),
            notes=tuple(texts),
            environment={"x": text},
            reproduce=text,
            workload=Workload(dataset=dataset, data_files=tuple(texts), consumer=text, step=20_000),
        )
        site = {"file": f"{CWD}/{text}.py", "line": 3, "function": text}
        end = End("failed", text, reclaim=Reclaim(how=text), trace=Trace((site,)))
        # And a program with two processes whose roles are what their command lines say.
        figures = {"rss": 9 << 20, "anon": 5, "file": 4, "shmem": 0}
        processes = tuple(ProcessSample(0.0, pid, role=text, **figures) for pid in (7, 8))
        looks = tuple(TreeSample(look / 10, **figures, processes=processes) for look in range(3))
        program = ArmInfo("program", "program", consumer=False)
        self.recordings: list[Recording] = [
            replace(recording, header=header, end=end),
            Recording(
                replace(header, command="run", arm=program),
                end=end,
                limit=LimitUsage(5, 0, "group", text, True),
                trees=looks,
            ),
        ]


def runs() -> Iterator[tuple[Planted, list[str]]]:
    """Fifty runs of ten secrets each."""
    planted: list[tuple[str, str]] = []
    kinds = list(KINDS.values())
    for number in range(450):
        planted.append(kinds[number % len(kinds)]())
    for start in range(0, 450, PER_RUN - 1):
        some = planted[start : start + PER_RUN - 1]
        dataset = f"{word()}/{word()}"
        yield Planted([text for text, _ in some], dataset), [*(secret for _, secret in some), dataset]


def asked(redactor: Redactor, **options: Any) -> OutputOptions:
    """What a command is given, on another machine than this."""
    made = OutputOptions(**options)
    vars(made)["redactor"] = redactor
    return made


def outputs(
    run: Planted, folder: Path, redactor: Redactor, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    """Every format's text; a picture's is the specification that it is drawn from."""
    paths = [folder / f"report.{ending}" for ending in ("md", "html", "json", "jsonl")]
    asked(redactor, paths=paths, quiet=True).write(run.result, run.recordings)
    found = {path.suffix: path.read_text(encoding="utf-8") for path in paths}
    shown = redactor.result(run.result), [redactor.recording(r) for r in run.recordings]
    found["picture"] = json.dumps(picture(*shown), ensure_ascii=False)
    compared = redactor.comparison(
        Comparison(run.result.summary, run.result.summary, "slice", {"memory-mapped": ()}),
        [run.recordings, run.recordings],
    )
    found["comparison"] = comparison_markdown(compared) + comparison_terminal(compared)
    found["comparison --json"] = json.dumps(compared.to_dict(), ensure_ascii=False)
    found["error"] = json.dumps(redactor.document(InputError(run.text, next=run.text).to_dict()))
    capsys.readouterr()
    for kind, console in (
        ("screen", asked(redactor)),
        ("--json", asked(redactor, as_json=True)),
        ("-q", asked(redactor, quiet=True)),
    ):
        console.show(run.result)
        found[kind] = capsys.readouterr().out
    return found


def test_five_hundred_planted_secrets_and_none_comes_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfmemdebug.render.html.drawing_library", Library)
    redactor = Redactor(
        home=HOME, cwd=CWD, user=USER, host=HOST, environ=dict(ENVIRON), also_home=["/mnt/nvme0/zeph"]
    )
    count, leaks = 0, []
    for run, secrets in runs():
        texts = outputs(run, tmp_path, redactor, capsys)
        planted = json.dumps(
            [run.result.to_dict(), encode(run.recordings[0].header), encode(run.recordings[0].end)]
        )
        for secret in secrets:
            count += 1
            assert planted.count(secret) >= 7, "it was not planted"
            # A dataset's name is private in its halves too.
            for part in secret.split("/") if secret.count("/") == 1 else [secret]:
                leaks += [(kind, part) for kind, text in texts.items() if part.lower() in text.lower()]
    assert count == 500
    assert leaks == []


def test_nothing_is_left_in_the_drawn_pictures() -> None:
    secret = f"hf_{letters(34)}"
    run = Planted([f"train.py --hub-token {secret}", f"{HOME}/{USER}.arrow"], "owner-of-it/rows-of-it")
    redactor = Redactor(home=HOME, cwd=CWD, user=USER, host=HOST)
    shown = redactor.result(run.result), [redactor.recording(r) for r in run.recordings]
    svg, png = render_svg(*shown), render_png(*shown)
    # Texts of a PNG stand in chunks of their own.
    assert not {b"tEXt", b"iTXt", b"zTXt", b"eXIf"} & set(chunks(png))
    for private in (secret, USER, HOME, "rows-of-it"):
        assert private not in svg


def chunks(png: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(png):
        yield png[place + 4 : place + 8]
        place += 12 + int.from_bytes(png[place : place + 4], "big")


class Library:
    """Stands for vl-convert: what the page would be drawn with holds nobody's secrets."""

    def __init__(self, wanted_by: str) -> None:
        self.wanted_by = wanted_by

    def javascript_bundle(self, snippet: str) -> str:
        return snippet


def test_names_are_shown_where_one_asks_for_it_or_where_they_are_public(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfmemdebug.render.html.drawing_library", Library)
    run = Planted(["nothing"], "owner-of-it/rows-of-it")
    for kind, text in outputs(run, tmp_path, Redactor(), capsys).items():
        assert "rows-of-it" not in text, kind
    assert "private-dataset" in (tmp_path / "report.md").read_text()
    for kind, text in outputs(run, tmp_path, Redactor(show_names=True), capsys).items():
        assert "owner-of-it/rows-of-it" in text or kind in ("picture", "-q", "error"), kind
    public = {**(run.result.arms[0].loaded or {}), "private": False}
    result = replace(run.result, arms=(replace(run.result.arms[0], loaded=public),))
    assert "owner-of-it/rows-of-it" in Redactor().result(result).summary


@pytest.mark.parametrize("value", ["Marie's address", 4711, 3.14, b"raw", ("a", "tuple")])
def test_values_of_the_data_are_in_no_outcome(value: Any) -> None:
    def fail() -> None:
        if isinstance(value, int):
            raise KeyError(value)
        raise ValueError(f"bad row: {value!r}")

    with pytest.raises((KeyError, ValueError)) as caught:
        fail()
    told = describe(caught.value)
    assert str(value) not in told
    assert told.startswith(f"{type(caught.value).__name__} at test_secrets.py:")


def test_what_the_code_says_is_told() -> None:
    try:
        raise RuntimeError("no database")
    except RuntimeError as error:
        assert describe(error) == "RuntimeError: no database"
    try:
        {}["foo"]
    except KeyError as error:
        assert describe(error) == "KeyError: 'foo'"


def test_what_python_says_of_names_and_files_is_told() -> None:
    assert describe(ModuleNotFoundError("No module named 'x'")) == "ModuleNotFoundError: No module named 'x'"
    assert describe(OSError(24, "Too many open files", "/a/secret/name")) == "OSError: Too many open files"
    assert describe(SystemExit(3)) == "SystemExit: 3"


cache: dict[str, dict[str, list[int]]] = {"train": {}}


def test_keys_of_the_data_are_in_no_holder() -> None:
    secret = letters(30)
    cache["train"][secret] = kept = [1]
    path = path_to(kept)
    assert path is not None
    assert secret not in str(path)
    assert path.label == "cache['train'][a key]"
    del cache["train"][secret]
