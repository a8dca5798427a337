"""The process of an arm, from its first line to its end.

Started by `hfmemdebug.measure.arm_pool`, which has tied it to its supervisor, with the numbers of two pipes.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from types import FrameType

from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.measure.arm import Arm
from hfmemdebug.measure.failure import ProgramError
from hfmemdebug.measure.protocol import LOST_STATUS, Channel
from hfmemdebug.probes.allocators import TUNABLES
from hfmemdebug.recording.descriptor import LostDescriptorError


def main(read_fd: int, write_fd: int) -> None:
    """Does what it is told over the pipes."""
    try:
        _main(read_fd, write_fd)
    except LostDescriptorError:
        # Nothing more can be said, nor written.
        os._exit(LOST_STATUS)


def _main(read_fd: int, write_fd: int) -> None:
    # Ctrl-C is for the supervisor to take: it asks for a stop, so that what was measured is kept.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(read_fd, write_fd)
    task = next(channel.lines(), None)
    if task is None:
        return
    if task["tunables"] is None:
        os.environ.pop(TUNABLES, None)
    else:
        os.environ[TUNABLES] = task["tunables"]
    arm: Arm | None = None
    try:
        arm = Arm(channel, task)

        def stop(number: int, frame: FrameType | None) -> None:
            arm.stopping = True

        signal.signal(signal.SIGTERM, stop)
        # Workers that the user's code forks end by it, as `Pool.terminate` has them do, and would wait for ever else.
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
        if task["consumer"]:
            arm.import_consumer(task["consumer"])
        arm.obey()
        arm.close()
    except ProgramError as error:
        assert arm is not None
        assert error.__cause__ is not None
        arm.fail(str(error), error.__cause__, error.explanation)
        arm.close()
    except HfmemdebugError as error:
        channel.send(event="error", error=error.to_dict())
    except BrokenPipeError:
        return
    except Exception as error:
        if channel.lost:
            raise LostDescriptorError from error
        traceback.print_exception(error)
        channel.send(event="crashed", message=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    # The user's code may have registered ends of its own (worker pools do). What comes after them, the
    # interpreter's teardown, frees gigabytes one by one and prints noise of abandoned streams.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
