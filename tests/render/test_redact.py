from __future__ import annotations

import json
from dataclasses import replace

import pytest
from leaks import held
from render import samples

from hfmemdebug.decode import encode
from hfmemdebug.leak import Site
from hfmemdebug.recording.end import End
from hfmemdebug.recording.header import ArmInfo, LoadReport
from hfmemdebug.render.markdown import render_markdown
from hfmemdebug.render.redact import HIDDEN, Redactor, secret_values
from hfmemdebug.render.terminal import render_terminal, render_verdict_line

HF = "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNm12345678"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
REDACT = Redactor(
    home="/home/mariecurie",
    cwd="/home/mariecurie/radium",
    user="mariecurie",
    host="pitchblende-07.lab.example.org",
    environ={
        "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
        "DB_PASSWORD": "p4ss!",
        "MY_SECRET": "correct horse battery",
        "PATH": "/usr/bin",
        "TOKENIZERS_PARALLELISM": "falsehood",
        "HF_TOKEN_PATH": "/somewhere/token",
    },
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/mariecurie/radium/data.arrow", "./data.arrow"),
        ("/home/mariecurie/radium", "."),
        ("in /home/mariecurie/radium.", "in .."),
        ("/home/mariecurie/radium2/x", "~/radium2/x"),
        ("/home/mariecurie/.cache/hf", "~/.cache/hf"),
        ("/home/mariecurie", "~"),
        ("file:///home/mariecurie/x", "file://~/x"),
        ("PYTHONPATH=/home/mariecurie/a:/home/mariecurie/b", "PYTHONPATH=~/a:~/b"),
        ("'/home/mariecurie/a b'", "'~/a b'"),
        ("/home/pierre/shared/ds", "/home/user/shared/ds"),
        ("/Users/irene/ds", "/Users/user/ds"),
        ("/mnt/home/mariecurie/x", "/mnt/home/user/x"),
        ("/tmp/pytest-of-mariecurie/x", "/tmp/pytest-of-user/x"),
        ("/scratch/mariecurie/ds", "/scratch/user/ds"),
        ("mariecurie@pitchblende-07:~$", "user@host:~$"),
        ("on pitchblende-07.lab.example.org", "on host"),
        ("PITCHBLENDE-07", "host"),
        ("mariecuries", "mariecuries"),
    ],
)
def test_places_and_names(text: str, shown: str) -> None:
    assert REDACT(text) == shown


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"--token {HF}", HF),
        (f"token is {HF}.", HF),
        (f"key {AWS} here", AWS),
        (f"https://x:{GITHUB}@github.com/a/b", GITHUB),
        (GITHUB, GITHUB),
        ("https://bob:hunter2@proxy.example.org:8080/", "hunter2"),
        ("s3://key:se+cr%2Fet@bucket/x", "se+cr%2Fet"),
        ("https://cdn.example.org/x?a=1&token=abc&b=2", "token=abc"),
        ("https://b.s3.amazonaws.com/x?X-Amz-Signature=deadbeef&X-Amz-Date=1", "deadbeef"),
        ("https://b.s3.amazonaws.com/x?X-Amz-Credential=AK%2F2026&y=1", "AK%2F2026"),
        ("https://acc.blob.core.windows.net/c?sv=1&sig=Zm9v%3D", "Zm9v"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ('{"authorization": "Basic Zm9vOmJhcg=="}', "Zm9vOmJhcg"),
        ("sent Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("PASSWORD=hunter2", "hunter2"),
        ("my_api_key='hunter22'", "hunter22"),
        ('"secret": "hunter2"', "hunter2"),
        ("--password=hunter2 --rows 5", "hunter2"),
        ("--hub-token abcd1234efgh", "abcd1234efgh"),
        ("AccountKey=Zm9vYmFy==;EndpointSuffix=core", "Zm9vYmFy"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4", "SflKxwRJSMeKKF2QT4"),
        ("got 0123456789abcdef0123456789abcdef01234567 back", "0123456789abcdef"),
        ("it said p4ss!", "p4ss!"),
        ("the correct horse battery staple", "correct horse battery"),
    ],
)
def test_secrets(text: str, secret: str) -> None:
    shown = REDACT(text)
    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "No leak: RSS grew by 1.4 GB because pages of the dataset's files were mapped in.",
        "Give --token or log in with `hf auth login`.",
        "long token lists, 512 tokens=4096 rows",
        "hf_hub_download failed; set HF_TOKEN to read it",
        "https://huggingface.co/datasets/wmt/wmt19?split=train",
        "user@example.org".replace("user", "someone"),
        "/usr/lib/python3.11/site-packages/datasets/table.py:12",
        "memory.max is 600 MB; a key question",
        "falsehood",
        "Time 12:34:56, ratio 3:1",
    ],
)
def test_innocent_text_stays(text: str) -> None:
    assert REDACT(text) == text


@pytest.mark.parametrize("user", ["root", "data", "memory", "arrow", "user", "Admin", "runner"])
def test_a_user_called_like_a_word_does_not_blot_out_the_report(user: str) -> None:
    redact = Redactor(home="/root", cwd="/data", user=user, host=user, environ={})
    text = "memory-mapped data of the user: arrow pool, root, admin, runner; /sys/data/memory/arrow"
    assert redact(text) == text
    assert redact(f"{user}@{user}") == "user@host"


@pytest.mark.parametrize("user", ["bob", "max", "a"])
def test_a_short_name_is_hidden_where_it_stands_as_one(user: str) -> None:
    redact = Redactor(home=f"/home/{user}", user=user, host="a")
    assert redact(f"a max of 5, bob; memory.max, /home/{user}/x") == "a max of 5, bob; memory.max, ~/x"
    assert redact(f"/scratch/{user}/x") == "/scratch/user/x"
    assert redact("http://a:8080/") == "http://host:8080/"


@pytest.mark.parametrize("place", ["/", "", None])
def test_a_home_or_folder_that_is_everything_is_left(place: str | None) -> None:
    assert Redactor(home=place, cwd=place)("/usr/lib and / or") == "/usr/lib and / or"


def test_where_home_is_the_working_directory_it_stays_home() -> None:
    assert Redactor(home="/home/eve", cwd="/home/eve/")("/home/eve/ds") == "~/ds"


def test_other_spellings_of_the_same_place() -> None:
    redact = Redactor(
        home="/home/eve", cwd="/data1/eve/p", also_home=["/data1/eve"], also_cwd=["/home/eve/p"]
    )
    assert redact("/data1/eve/x /home/eve/x /data1/eve/p/y /home/eve/p/y") == "~/x ~/x ./y ./y"


def test_command_line_hides_the_value_after_an_option() -> None:
    shown = REDACT.command_line(
        ["hfmemdebug", "profile", "a b", "--token", "short", "--token=x1", "--rows", "5"]
    )
    assert shown == f"hfmemdebug profile 'a b' --token {HIDDEN} --token={HIDDEN} --rows 5"


def test_values_of_variables_that_would_blot_out_plain_text() -> None:
    environ = {
        "A_TOKEN": "data",
        "B_KEY": "1234",
        "C_SECRET": "abc",
        "PWD": "/home/x",
        "KEYBOARD": "qwertz-de",
    }
    assert secret_values(environ) == frozenset()
    assert secret_values({"AWS_SECRET_ACCESS_KEY": "wJalr/X+y"}) == {"wJalr/X+y"}


def test_nothing_private_in_any_rendering() -> None:
    private = [HF, "/home/mariecurie", "pitchblende-07", "mariecurie", "hunter2"]
    text = f"{HF} /home/mariecurie/radium/x pitchblende-07 mariecurie https://u:hunter2@h/"
    result = replace(
        samples.LEAK,
        summary=text,
        advice=(text,),
        warnings=(text,),
        command_line=text,
        reproduce=text,
        environment={text: text},
        findings=tuple(replace(f, detail=text, arm=text) for f in samples.LEAK.findings),
        sites=(Site(text, 1, text, text, 1.0),),
        holders=(held(text, text, module=text),),
        arms=tuple(
            replace(
                a,
                name=text,
                outcome="failed",
                outcome_detail=text,
                recording=text,
                loaded={"files": [{"path": text}]},
            )
            for a in samples.LEAK.arms
        ),
    )
    recording = samples.recording(slices=4)
    recording = replace(
        recording,
        header=replace(
            recording.header, arm=ArmInfo(text, "mmap", consumer=False), loaded=LoadReport("Arrow", text)
        ),
        end=End("failed", text, versions={text: text}),
    )
    safe, safe_recording = REDACT.result(result), REDACT.recording(recording)
    shown = [
        render_terminal(safe, width=1000),
        render_verdict_line(safe),
        render_markdown(safe, [safe_recording]),
        json.dumps(safe.to_dict()),
        json.dumps([encode(safe_recording.header), encode(safe_recording.end)]),
    ]
    for rendering in shown:
        assert HIDDEN in rendering.replace("\\", "")
        for secret in private:
            assert secret not in rendering
    assert safe_recording.samples == recording.samples


def test_keys_of_a_document_say_what_is_secret() -> None:
    document = {
        "token": "abc",
        "HF_TOKEN": "x y",
        "rows": 5,
        "tokens": "abc",
        "token_count": 7,
        "password": None,
    }
    assert REDACT.document(document) == {**document, "token": HIDDEN, "HF_TOKEN": HIDDEN}


def test_numbers_and_structure_survive() -> None:
    assert REDACT.result(samples.LEAK).to_dict() == samples.LEAK.to_dict()


def test_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    monkeypatch.setenv("SOME_API_TOKEN", "s3cr3t-value")
    redact = Redactor.of_this_machine()
    assert redact(f"{tmp_path}/home/x s3cr3t-value") == f"~/x {HIDDEN}"
