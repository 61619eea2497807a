"""TLS of the link: who is believed, and what is said when that fails. The bytes are moved by `wire.transport`.

Both sides authenticate: the broker by its certificate, the caller by its token. There is no way to skip either.
"""

import socket
import ssl
from pathlib import Path

import anyio

from wire.errors import Denied, Invalid, QueenpostError, Unavailable
from wire.private_files import check_readers
from wire.transport import Receiver, Transport, connect_tls

CONNECT_WITHIN_S = 10.0


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load what the broker shows to callers. TLS 1.2 and 1.3.

    Raises:
        Invalid: a file is missing or no PEM, or the two do not belong together.
        Denied: others may read the key.
    """
    try:
        check_readers(key, key.stat())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A key with a passphrase would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as exc:
        raise Invalid(f"[link] certificate {certificate} and key {key} cannot be used: {exc.reason or exc}") from exc
    except OSError as exc:
        raise Invalid(f"[link] cannot read {exc.filename or certificate}: {exc.strerror}") from exc
    return context


def client_context(ca: Path | None) -> ssl.SSLContext:
    """Believe the authorities in a PEM file, or those of this machine.

    Raises:
        Invalid: the file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as exc:
        raise Invalid(f"--ca {ca} holds no certificate in PEM: {exc.reason or exc}") from exc
    except OSError as exc:
        raise Invalid(f"cannot read --ca {ca}: {exc.strerror}") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def dial_tls(host: str, port: int, ca: Path | None, receiver: Receiver) -> Transport:
    """Connect to the port of a broker whose certificate is good for `host`.

    Raises:
        Denied: its certificate is not believed; nothing was sent.
        Unavailable: nobody answers there, or it speaks no TLS.
    """
    context = client_context(ca)
    try:
        with anyio.fail_after(CONNECT_WITHIN_S):
            return await connect_tls(host, port, context, receiver)
    except OSError as exc:  # TimeoutError is one
        raise _refusal(f"{host}:{port}", exc, ca) from exc


def _refusal(where: str, exc: OSError, ca: Path | None) -> QueenpostError:
    match exc:
        case ssl.SSLCertVerificationError():
            why = exc.verify_message.rstrip(".")
            hint = "connect by a name that stands in it" if "mismatch" in why else _authority(ca)
            return Denied(f"the certificate of {where} is not believed: {why}; {hint}. Nothing was sent")
        case ssl.SSLError():
            return Unavailable(f"{where} does not speak the TLS of a broker: {exc.reason or exc}")
        case socket.gaierror():
            return Unavailable(f"there is no host of that name: {where}")
        case ConnectionRefusedError():
            return Unavailable(f"no broker listens at {where}; does its queenpost.toml say [link] listen?")
        case TimeoutError() | ConnectionError():
            return Unavailable(f"{where} does not answer; trying again is safe")
        case _:
            return Unavailable(f"cannot connect to {where}: {exc.strerror or exc}")


def _authority(ca: Path | None) -> str:
    if ca is None:
        return "name the authority that signed it with --ca FILE"
    return f"is {ca} the authority that signed it?"
