"""What the process room can be asked to start, as JSON lines."""

from __future__ import annotations

import signal
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rekindle.chaos.places import Place
from rekindle.vocabulary import Channel

#: Asks whoever was started to write on its stderr what each of its threads is doing.
TELL = signal.SIGUSR1


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Deed(StrEnum):
    """What befalls an attempt at a place."""

    KILL = "kill"  # SIGKILL
    FREEZE = "freeze"  # SIGSTOP, until somebody sends SIGCONT
    FILL_DISK = "fill_disk"  # from here on no file of this process can grow by a byte


class Fate(_Job):
    """A deed, and the place and time (the first, the second …) at which it is done."""

    deed: Deed
    place: Place
    nth: Annotated[int, Field(ge=1)] = 1


class DispatchJob(_Job):
    """One attempt at some batches, by the real dispatcher unless another is named."""

    kind: Literal["dispatch"] = "dispatch"
    log: Path
    trail: Path
    warehouse: Path
    clock: Path
    sandbox: str
    batch_ids: tuple[str, ...]
    channel: Channel
    chunk_size: int
    timeout_seconds: float
    patience_seconds: float
    campaign_id: str
    definition: Path
    as_of: datetime
    run_id: str
    fate: Fate | None = None
    dispatcher: str = "rekindle.dispatch.batch:dispatch_batch"


class SandboxJob(_Job):
    """The sandbox on a free port."""

    kind: Literal["sandbox"] = "sandbox"
    log: Path
    clock: Path
    receiver: str
    record: Path
    signing_key: Path
    seed: int


class ReceiverJob(_Job):
    """The receiver on a free port."""

    kind: Literal["receiver"] = "receiver"
    log: Path
    clock: Path
    landing: Path
    signing_key: Path


class HoldJob(_Job):
    """Somebody who opens the warehouse file and keeps it."""

    kind: Literal["hold"] = "hold"
    log: Path
    trail: Path
    warehouse: Path


class WaitJob(_Job):
    """Wait until a process is over, or (`or_stopped`) frozen."""

    kind: Literal["wait"] = "wait"
    pid: int
    or_stopped: bool = False


Job = Annotated[DispatchJob | SandboxJob | ReceiverJob | HoldJob | WaitJob, Field(discriminator="kind")]
JOB: TypeAdapter[Job] = TypeAdapter(Job)


class Started(_Job):
    """A process was started; servers say on which port."""

    pid: int
    port: int | None = None


class Ended(_Job):
    """How a process ended: exit code, or minus the signal; frozen is not the end."""

    status: int
    is_frozen: bool = False
