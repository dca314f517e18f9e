"""The inputs that fuzzing keeps, run through their targets; and whether the oracles
of fuzzing can see anything. ``python -m fuzz`` searches for more.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fuzz import __main__ as command
from fuzz import frames, http_model, inflate, keep, model, seeds
from fuzz.support import FORMS, Log, Logged, alike, pieces, same
from fuzz.targets import CORPUS, TARGETS, corpus

from ..torture import same_environment


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with same_environment(FORMS):
        yield


@pytest.mark.parametrize("target", TARGETS)
def test_every_input(target: str) -> None:
    """What fuzzing found to cover most."""
    for path in corpus(target):
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed(target: str) -> None:
    """What fuzzing begins with, the examples of the RFCs among it."""
    for data in seeds.seeds(target):
        TARGETS[target](data)


def test_corpus_is_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    for target in TARGETS:
        sizes = [path.stat().st_size for path in corpus(target)]
        assert 0 < len(sizes) <= keep.MOST_FILES
        assert max(sizes) <= keep.MOST_BYTES


# Whether a broken promise would be seen


def outcomes(data: bytes) -> tuple[frames.Plan, frames.Seen, model.Outcome]:
    todo = frames.plan(data, True)
    seen = frames.run(next(iter(FORMS.values())), todo)
    return todo, seen, model.read(todo.stream, todo.settings)


HELLO, BY_BYTE, FRAGMENTS, *_ = seeds.frames(seeds.KEY)
LONG = bytes([seeds.UNLIMITED, 0, 0]) + b"\x82\xfe\x01\x00" + bytes(4 + 256)


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (HELLO, {"server": False}),
        (HELLO, {"max_message": 4}),
        (HELLO, {"max_fragment": 4}),
        (FRAGMENTS, {"max_fragments": 1}),
        (LONG, {"max_message": 255}),
        (b"\x00\0\0\x81\x81\0\0\0\0\xff", {"check_text": False}),
        (b"\x01\0\0\xc1\x81\0\0\0\0\x00", {"deflate": False}),
    ],
)
def test_model_disagrees(data: bytes, settings: dict[str, Any]) -> None:
    """A model of another connection does not say the same."""
    todo, seen, expected = outcomes(data)
    frames.compare(todo, seen, expected)
    other = model.read(todo.stream, todo.settings._replace(**settings))
    with pytest.raises(AssertionError, match="model"):
        frames.compare(todo, seen, other)


def test_model_knows_the_byte() -> None:
    todo, seen, expected = outcomes(b"\x00\x01\x01\x82\xfe\x00\x05")
    assert (expected.failed, expected.position) == (1002, 4)
    with pytest.raises(AssertionError, match="after 3"):
        frames.compare(todo, seen, expected._replace(position=3))


@pytest.mark.parametrize("field", frames.Seen._fields)
def test_forms_that_differ(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """Whatever it is in which one of two forms differs, it is noticed."""
    runs: list[Any] = []
    run = frames.run

    def differing(form: Any, todo: frames.Plan) -> frames.Seen:
        runs.append(form)
        seen = run(form, todo)
        other: dict[str, Any] = {field: "other"}
        return seen._replace(**other) if len(runs) == 2 else seen

    monkeypatch.setattr(
        frames, "FORMS", dict.fromkeys("ab", next(iter(FORMS.values())))
    )
    monkeypatch.setattr(frames, "run", differing)
    with pytest.raises(AssertionError, match=field):
        frames.server(HELLO)


def test_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    results = iter([1, 2])
    monkeypatch.setattr("fuzz.support.FORMS", {"one": None, "two": None})
    with pytest.raises(AssertionError, match="one and two: 1 != 2"):
        alike(lambda form: next(results))
    with pytest.raises(AssertionError, match="what: 1 != 2"):
        same(1, 2, "what")


def test_log() -> None:
    logger = Log(debug=True).logger
    logger.warning("one line")
    with pytest.raises(Logged):
        logger.error("an error")
    with pytest.raises(Logged):
        logger.info("two\nlines")
    with pytest.raises(Logged):
        logger.debug("a traceback", exc_info=ValueError())


# The models and the tools by themselves


def test_inflate_like_zlib() -> None:
    """Any settings; each message refers to those before."""
    rng = random.Random(1)
    for _ in range(30):
        bits = rng.randint(9, 15)
        settings = rng.randint(0, 9), zlib.DEFLATED, -bits, rng.randint(1, 9)
        deflater = zlib.compressobj(*settings, rng.choice((0, 2, 4)))
        inflater = inflate.Inflater(bits)
        for _ in range(3):
            text = bytes(rng.choices(b"abcd\0\xff", k=rng.randrange(400))) * 2
            data = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
            assert inflater.inflate(data[:-4], True, None) == text
        with pytest.raises(inflate.TooMuch):
            inflater.inflate(b"\x00\x02\x00\xfd\xff12", False, 1)


def test_inflate_beyond_the_window() -> None:
    """What nobody has to enforce is not judged."""
    data = b"\x00\x4c\x04\xb3\xfb" + bytes(1100) + bytes.fromhex("02e6730000")
    assert inflate.Inflater(10).inflate(data, True, None) == bytes(1103)
    with pytest.raises(inflate.Undetermined):
        inflate.Inflater(9).inflate(data, True, None)


def test_grammar_of_extensions() -> None:
    read = http_model.read_extensions
    assert read(',a;b="c\\d" ; e,') == [("a", [("b", "cd"), ("e", None)])]
    for text in ("", ",", "a;", "a;b=", 'a;b="c', 'a;b="c"d', 'a;b="c,d"', "a b"):
        with pytest.raises(http_model.Refused):
            read(text)


def test_pieces() -> None:
    assert pieces(b"abcdefg", 1, 2) == [b"a", b"bc", b"d", b"ef", b"g"]
    assert pieces(b"abc", 1, 0) == [b"a", b"bc"]
    assert pieces(b"", 0, 0) == []


def test_keep_covers_all() -> None:
    """The fewest inputs, and of equals the smallest."""
    one, two = ("file", 0, 1), ("file", 1, 2)
    candidates = {b"1": {one}, b"22": {two}, b"333": {one, two}, b"4444": {one, two}}
    assert keep.cover({k: frozenset(v) for k, v in candidates.items()}) == [b"333"]
    arcs = [keep.arcs(TARGETS["server"], data) for data in (HELLO, b"\0\0\0\x83")]
    assert arcs[0] - arcs[1]
    assert arcs[1] - arcs[0]


def test_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its exit status tells whether there was a finding."""
    path = tmp_path / "input"
    path.write_bytes(HELLO)
    assert command.main(["server", str(path)]) == 0
    assert "1 replayed" in capsys.readouterr().out
    monkeypatch.setitem(TARGETS, "server", lambda data: same(data, b"", "input"))
    assert command.main(["server", str(path)]) == 1
    assert "input: " in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["--minutes=0", "other", "server missing", "--x"])
def test_command_used_wrongly(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(wrong.split())
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
