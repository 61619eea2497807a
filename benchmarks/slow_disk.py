"""`python -P -m benchmarks.slow_disk`: the real broker, on a disk whose sync takes longer than here. Else `broker`.

Where syncs end in the cache of a host they cost little more than a system call, and what a shared commit is worth
is not to be seen. A disk that writes takes 1 to 10 ms.
"""

import sys
import time
from types import TracebackType

from broker.__main__ import main
from broker.store import group
from broker.store.transaction import Transaction

MORE_S = 0.002
"""What each sync takes longer; the thread waits as it would for a disk, without the interpreter's lock."""


class SlowTransaction(Transaction):
    """Each commit waits for the disk a little longer."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `Transaction`."""
        time.sleep(MORE_S)
        super().__exit__(kind, error, trace)


if __name__ == "__main__":
    group.__dict__["Transaction"] = SlowTransaction
    sys.exit(main())
