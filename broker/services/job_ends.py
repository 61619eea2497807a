"""What MQTT retains of a job: the end that was recorded, or nothing. A later word of somebody else is taken back.

Whoever may publish to a job's topic, such as a claimant that was fenced, may replace what is retained there, and only
the fleet's broker knows what has to stand. It decides on no event; that is in `job_events`.
"""

from broker.store.tx import Tx

MOST = 100
"""Times that the end of one job is said again: who says another one for ever has no quarrel for ever."""


def keep(tx: Tx, job: str, payload: bytes) -> None:
    """Note the exact bytes of the end that was recorded, which outlive the secret that signed them."""
    tx.run("jobs.keep_end", id=job, payload=payload)


def hold(tx: Tx, job: str, topic: str, payload: bytes) -> None:
    """Have the end that was recorded retained again behind something else that may have taken its place; a job without
    one has nothing retained. Its own end, and a clearing where nothing is to stand, post nothing: both are heard again.
    """
    row = tx.one("jobs.kept_end", id=job)
    if row is None or row["resaid"] >= MOST:
        return
    end = row["end_payload"] or b""
    if payload == end:
        return
    tx.run("jobs.resay", id=job)
    tx.post(topic, end, retain=True)
    tx.log("job_end_said_again", job=job, times=row["resaid"] + 1, clears=not end)
