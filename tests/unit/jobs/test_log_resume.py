"""Tests of jobs/log_resume: each line comes once and in order, wherever the stream is cut; how a line is shown.

`serve` answers as the kubelet does (cri-client pkg/logs, ReadLogs). The file is a list of pieces with a timestamp
each. Pieces before `sinceTime` are left out, and a piece that continues a line has no timestamp in the answer.
"""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.jobs import log_resume
from run_cronjob.jobs.log_resume import Checkpoint, Log, Mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable

Piece = tuple[int, bytes]
"""Nanoseconds since EPOCH, and the bytes printed then."""

SECOND = 1_000_000_000
EPOCH = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def stamp(nanoseconds: int, zone: str = "Z") -> bytes:
    seconds, rest = divmod(nanoseconds, SECOND)
    at = EPOCH + timedelta(seconds=seconds, hours=2 if zone != "Z" else 0)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}{zone} ".encode()


def serve(file: Iterable[Piece], since: str, zone: str = "Z") -> bytes:
    first = int((datetime.fromisoformat(since) - EPOCH).total_seconds()) * SECOND if since else -(2**63)
    answer, is_new_line = b"", True
    for at, text in file:
        if at >= first:
            answer += stamp(at, zone) + text if is_new_line else text
        is_new_line = text.endswith(b"\n") or not text
    return answer


class Reader:
    """Reads a log as tail.py does, without threads and pauses."""

    def __init__(self) -> None:
        self.log = Log(lambda text: text)
        self.shown: list[str] = []
        self.gaps = 0

    def read(self, file: Iterable[Piece], *, until: int | None = None, step: int = 1 << 20, zone: str = "Z") -> bool:
        """Read one answer up to byte `until` in chunks; whether it had new bytes or another request is needed."""
        answer = serve(file, self.log.since, zone)[:until]
        self.log.begin()
        has_new = False
        for start in range(0, len(answer), step):
            try:
                lines, is_new = self.log.take(answer[start : start + step])
            except Mismatch:
                return self._after_mismatch()
            self.shown += lines
            has_new = has_new or is_new
        return has_new

    def _after_mismatch(self) -> bool:
        if not self.log.resume_earlier():
            self.shown += self.log.skip_gap()
            self.gaps += 1
        return True

    def finish(self, file: list[Piece], *, step: int = 1 << 20, zone: str = "Z") -> None:
        for _ in range(10):
            if self.read(file, step=step, zone=zone):
                continue
            if self.log.overlap.has_caught_up or not self._after_mismatch():
                break
        else:
            pytest.fail("no end in sight")
        self.shown += self.log.end()


def read_all(file: list[Piece], step: int = 1 << 20) -> list[str]:
    reader = Reader()
    reader.finish(file, step=step)
    return reader.shown


def one(text: bytes) -> list[str]:
    return read_all([(0, text)])


TEXTS = st.sampled_from(
    [b"", b"x", b"same", b"\xff\xfe", "größer".encode(), b"2026-11-23T04:05:07.000000000Z x", b"y" * 90]
)
STEPS = st.sampled_from([0, 0, 1, 1000, SECOND // 3, SECOND, 90 * SECOND])
CUTS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 60), st.integers(0, 12)), max_size=8)
"""For each answer: its end, the size of its chunks, and the number of pieces printed since the one before."""


@st.composite
def files(draw: st.DrawFn, disorder: bool = False, pieces: bool = False) -> list[Piece]:
    """A container's output. No line is equal to another or its beginning, so that tests can distinguish them."""
    at, file = 0, []
    for number, (text, step) in enumerate(draw(st.lists(st.tuples(TEXTS, STEPS), max_size=40))):
        at += step
        early = draw(st.sampled_from([0, 0, 1, SECOND // 2])) if disorder else 0
        line = b"%s %d." % (text, number)
        if pieces and draw(st.booleans()):
            middle = draw(st.integers(0, len(line)))
            file.append((max(at - early, 0), line[:middle]))
            at += draw(STEPS)
            line = line[middle:]
        file.append((max(at - early, 0), line + b"\n"))
    return [piece for piece in file if piece[1]]


def lines_of(file: list[Piece]) -> list[str]:
    return b"".join(text for _, text in file).decode(errors="replace").split("\n")[:-1]


def read_through(file: list[Piece], cuts: list[tuple[int, int, int]], zone: str = "Z") -> Reader:
    reader, printed = Reader(), 0
    for until, step, more in cuts:
        printed += more
        reader.read(file[:printed], until=until, step=step, zone=zone)
    reader.finish(file, step=7, zone=zone)
    return reader


# --- each line once -----------------------------------------------------------------------------------------


@given(files(), CUTS, st.sampled_from(["Z", "+02:00"]))
def test_each_line_comes_once_wherever_the_stream_is_cut(
    file: list[Piece], cuts: list[tuple[int, int, int]], zone: str
) -> None:
    reader = read_through(file, cuts, zone)

    assert reader.shown == lines_of(file)
    assert not reader.gaps


@given(files(disorder=True), CUTS)
def test_lines_out_of_order_come_as_they_stand(file: list[Piece], cuts: list[tuple[int, int, int]]) -> None:
    """Two threads of the container runtime add timestamps to stdout and stderr, and write to one file."""
    reader = read_through(file, cuts)

    assert reader.shown == lines_of(file)
    assert not reader.gaps


@given(files(pieces=True), CUTS)
def test_lines_that_were_printed_in_pieces_come_whole(file: list[Piece], cuts: list[tuple[int, int, int]]) -> None:
    """The runtime adds a timestamp to each 16 KiB of a line; `sinceTime` may lie between two of them."""
    reader = read_through(file, cuts)

    assert reader.shown == lines_of(file)
    assert not reader.gaps


@given(files(), CUTS, st.data())
def test_after_a_rotation_nothing_comes_twice_and_nothing_that_is_left_is_lost(
    file: list[Piece], cuts: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    reader, printed = Reader(), 0
    for until, step, more in cuts:
        printed += more
        reader.read(file[:printed], until=until, step=step)
    begins = data.draw(st.integers(0, len(file)))
    # A line of which only the line feed is missing is shown as well when its log is gone.
    pending = log_resume._without_timestamps(reader.log._splitter._rest.decode(errors="replace"))
    seen = len(reader.shown) + (pending == lines_of(file)[len(reader.shown) :][:1])
    nothing_seen = reader.log.is_empty

    rest = file[begins:]
    looks_whole = any(continues(checkpoint, file, rest, reader) for checkpoint in reader.log._seen.checkpoints)
    reader.finish(rest)

    missed = lines_of(file)[seen:begins]
    whole = [line for line in reader.shown if line in lines_of(file)]  # a line may have been cut for good
    assert whole == [line for line in lines_of(file) if line not in missed]
    assert reader.gaps or nothing_seen or not missed or looks_whole


def continues(checkpoint: Checkpoint, file: list[Piece], rest: list[Piece], reader: Reader) -> bool:
    """Whether `rest` begins with the bytes read since `checkpoint`, a few perhaps: then a gap can't be noticed."""
    read = serve(file, "")[: reader.log._seen.checkpoints[-1].length]
    return serve(rest, checkpoint.since).startswith(read[len(read) - checkpoint.length :])


def test_a_line_far_out_of_order_costs_no_line() -> None:
    """Requested since 5, the API leaves out the 1 that was read after it: the answer is shorter than expected."""
    file = [(second * SECOND, b"line %d\n" % number) for number, second in enumerate([0, 5, 1, 6, 7, 7])]
    reader = Reader()
    reader.read(file[:4], step=10)
    reader.finish(file)

    assert reader.shown == lines_of(file)
    assert not reader.gaps


def test_a_line_that_is_left_out_far_behind_the_place_asked_for_is_noticed() -> None:
    """As before, but the answer has the expected beginning and length: a new line stands in place of the 1."""
    late = [(5 * SECOND, b"x" * 1000 + b"\n"), (1 * SECOND, b"late\n"), (6 * SECOND, b"seen\n")]
    file = [(0, b"first\n"), *late, (7 * SECOND, b"new line\n"), (8 * SECOND, b"newer line\n")]
    reader = Reader()
    reader.read(file[:4], step=10)
    reader.finish(file)

    assert reader.shown == lines_of(file)
    assert not reader.gaps


def test_what_comes_after_a_rotation_is_shown_before_it_is_as_much_as_was_seen() -> None:
    reader = Reader()
    reader.read([(SECOND, b"x" * 1000 + b"\n")])
    while reader.read([(9 * SECOND, b"next\n")]):
        pass

    assert reader.shown[-1] == "next"
    assert reader.gaps == 1


def test_the_rest_of_an_older_line_is_no_gap() -> None:
    pieces = [(0, b"first\n"), (1, b"half "), (2, b"and half\n"), (2, b"third\n"), (3, b"fourth\n"), (3, b"fifth\n")]
    file = [(second * SECOND, text) for second, text in pieces]
    reader = Reader()
    reader.read(file[:5], step=10)
    reader.finish(file[1:])  # the very beginning is rotated away

    assert reader.shown == lines_of(file)
    assert not reader.gaps


def test_a_gap_is_counted_once_and_not_again_at_every_cut() -> None:
    file = [(second * SECOND, b"%d\n" % second) for second in range(6)]
    reader = Reader()
    reader.read(file[:3])
    for printed in (4, 5, 6):
        while reader.read(file[2:printed]):  # the first two are rotated away
            pass

    assert reader.shown == ["0", "1", "2", "3", "4", "5"]
    assert reader.gaps == 1


def test_an_error_of_the_kubelet_is_no_line_of_the_container() -> None:
    reader = Reader()
    reader.read([(0, b"one\n")])
    answer = stamp(0) + b"one\n" + stamp(1) + b"two\n" + b"failed to watch directory"
    reader.log.begin()
    lines, _ = reader.log.take(answer)

    assert lines == ["two"]
    assert reader.log.overlap.kubelet_error == "failed to watch directory"

    reader.finish([(0, b"one\n"), (1, b"two\n"), (2, b"three\n")])
    assert reader.shown == ["one", "three"]
    assert not reader.gaps


def test_a_log_that_is_gone_differs_from_one_that_is_empty() -> None:
    log = Log(lambda text: text)
    log.begin()

    assert log.take(b"unable to retrieve container logs for containerd://0123") == ([], False)
    assert log.overlap.kubelet_error == "unable to retrieve container logs for containerd://0123"


# --- what of a line is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 5, 64, 4096])
def test_lines_are_what_lies_between_line_feeds(step: int) -> None:
    assert read_all([(0, b"one\n"), (0, b"\n"), (5, b"  two\x0bthree\x85\n"), (9, b"last")], step) == [
        "one",
        "",
        "  two\x0bthree\ufffd",
        "last",
    ]


def test_bytes_that_are_no_text_are_seen_as_such() -> None:
    assert one(b"gr\xfcn \xf0\x9f\n") == ["gr\ufffdn \ufffd"]


def test_a_letter_that_is_cut_in_two_chunks_stays_whole() -> None:
    assert read_all([(0, "größer €\n".encode())], 1) == ["größer €"]


def test_of_a_timestamp_like_text_only_the_apis_own_is_taken_off() -> None:
    assert one(b"2026-11-23T04:05:07.000000000Z said the container\n") == [
        "2026-11-23T04:05:07.000000000Z said the container"
    ]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-11-23T04:05:06Z", "2026-11-23T04:05:06.5Z", "2026-11-23T04:05:07.123456789Z"],
        ["2026-11-23T06:05:06.000000001+02:00", "2026-11-23T06:05:06.000000002+02:00", "2026-11-23T04:05:07Z"],
    ],
)
def test_timestamps_may_be_of_any_length_and_zone(times: list[str]) -> None:
    log = Log(lambda text: text)
    log.begin()

    assert log.take("".join(f"{time} text\n" for time in times).encode())[0] == ["text"] * 3


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b" 10%\r 50%\r100%\n", "100%"),
        (b"100%\r    \r\n", "100%"),
        (b"with a carriage return\r\n", "with a carriage return"),
        (b"\r\n", ""),
        (b"\r::error::no\n", "::error::no"),
    ],
)
def test_a_progress_bar_is_shown_as_it_stands_in_the_end(printed: bytes, shown: str) -> None:
    assert one(printed) == [shown]


def test_so_is_one_of_many_megabytes() -> None:
    bar = b"".join(b"\r%09d of 300000 done" % done for done in range(300_000))
    log = Log(lambda text: text)
    log.begin()

    printed = stamp(0) + bar + b"\n"
    shown = [line for start in range(0, len(printed), 10_007) for line in log.take(printed[start : start + 10_007])[0]]

    assert shown == ["000299999 of 300000 done"]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"\x1b[31mred\x1b[0m and \x1b[1;38;5;9mbold\x1b[m\n", "red and bold"),
        (b"\x1b]0;a title\x07text\x1b]8;;https://x\x1b\\link\n", "textlink"),
        (b"\x1b[2K\x1b[1Gline\n", "line"),
        (b":\x1b[0m:error::no\n", "::error::no"),
    ],
)
def test_colours_and_cursor_movements_are_left_out(printed: bytes, shown: str) -> None:
    assert one(printed) == [shown]


@pytest.mark.parametrize("size", [log_resume.LINE_LENGTH + 1, 70_000, 5_000_000])
def test_a_line_of_any_length_is_cut_with_a_note(size: int) -> None:
    shown = read_all([(0, b"x" * size + b"\n"), (1, b"next\n")], 65_536)

    assert shown == [
        "x" * log_resume.LINE_LENGTH + f"… ({size - log_resume.LINE_LENGTH:,} more bytes are not shown)",
        "next",
    ]


def test_of_a_line_of_any_length_little_is_held() -> None:
    log = Log(lambda text: text)
    log.begin()
    log.take(stamp(0))
    chunk = b"x" * 1_000_000
    tracemalloc.start()
    for _ in range(100):
        log.take(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10_000_000
    assert log.take(b"\n")[0][0].endswith(f"({100_000_000 - log_resume.LINE_LENGTH:,} more bytes are not shown)")


def test_no_secret_is_cut_in_half() -> None:
    log = Log(lambda text: text.replace("hunter2", "***"))
    log.begin()

    lines, _ = log.take(stamp(0) + b"x" * (log_resume.LINE_LENGTH - 3) + b"hunter2" + b"y" * 50 + b"\n")

    assert "hun" not in lines[0]
