"""A scope of systemd: of the user's own manager, or of the system's for root.

`systemd-run --scope` executes the command in place. What is done beyond that was measured on systemd 247,
252 and 257: the process is in the scope only a while after it was started; ``Delegate=yes`` lets
the other processes of a scope live when one is killed, on every version; ``--collect`` leaves no
failed unit behind; the figures vanish with the scope's last process, so that one of ours holds it.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from hfmemdebug.probes.cgroup import groups
from hfmemdebug.supervise.limits.cgroups import ControlGroup
from hfmemdebug.supervise.limits.limiter import Request, Unavailable
from hfmemdebug.supervise.limits.run_id import SCOPE

SYSTEMD = "systemd"
_PLACED_WITHIN_SECONDS = 10.0


def open_systemd(request: Request, name: str) -> Scope:
    """Prepares the scope; `systemd-run` makes it when the command starts.

    Raises:
        Unavailable: There is no systemd that could be asked.
    """
    tool = shutil.which("systemd-run")
    if tool is None:
        raise Unavailable("systemd-run is not installed")
    if not Path("/run/systemd/system").is_dir():
        raise Unavailable("systemd does not run here")
    return Scope(tool, request, name, as_root=os.geteuid() == 0)


class Scope(ControlGroup):
    """One scope, which is a control group once the command is in it.

    Args:
        tool: Path of `systemd-run`.
        request: The limit.
        name: The unit's name, without its ending.
        as_root: Ask the system's manager, not the user's.
    """

    needs_holder = True

    def __init__(self, tool: str, request: Request, name: str, *, as_root: bool) -> None:
        how = "systemd-run --scope" if as_root else "systemd-run --user --scope"
        super().__init__(None, 2, request, backend=SYSTEMD, how=how)
        self.unit = f"{name}{SCOPE}"
        whose = () if as_root else ("--user",)
        properties = (f"MemoryMax={request.bytes}", f"MemorySwapMax={request.swap}", "Delegate=yes")
        self.prefix = (
            tool, *whose, "--scope", "--quiet", "--collect", f"--unit={self.unit}",
            "--description=a command under hfmemdebug limit",
            *(f"--property={text}" for text in properties), "--",
        )  # fmt: skip
        runtime = f"/run/user/{os.getuid()}"
        # It is missing after su and sudo -u, where the manager runs all the same.
        if not as_root and "XDG_RUNTIME_DIR" not in os.environ and Path(runtime).is_dir():
            self.environment["XDG_RUNTIME_DIR"] = runtime

    def confirm(self, pid: int) -> str:
        """Waits until the process is in the scope, and reads the limit back."""
        until = time.monotonic() + _PLACED_WITHIN_SECONDS
        while True:
            folder, version = next(groups(pid=pid), (Path(), 0))
            if folder.name == self.unit:
                break
            if time.monotonic() > until or not Path(f"/proc/{pid}").exists():
                raise Unavailable("systemd-run did not put the process into a scope")
            time.sleep(0.01)
        self.folder, self.version = folder, version
        self.check()
        return str(folder)

    def close(self) -> None:
        """Kills what is left in it; systemd removes it then."""
        self.remove(ours=False)
