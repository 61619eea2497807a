"""The MQTT broker at the other end: where it is, how one proves who one is, and what is said when that fails.

Knows no message; `wire.mqtt` connects. What it says names the setting in `[mqtt]` that mends it.
"""

import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wire.errors import Denied, Invalid, QueenpostError, Unavailable
from wire.private_files import check_readers

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Transport:
    """Where an MQTT broker is and who one is there. Made from checked settings; the password is never shown."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @property
    def tls(self) -> bool:
        """Say whether the connection is encrypted."""
        return self.url.startswith("mqtts://")

    @property
    def address(self) -> tuple[str, int]:
        """Give host and port.

        Raises:
            Invalid: not `mqtt://host[:port]` or `mqtts://host[:port]`.
        """
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
            raise Invalid(f"{self.url!r} is no MQTT address; write mqtt://host:1883 or mqtts://host:8883")
        return parts.hostname, port or PORTS[parts.scheme]

    @property
    def where(self) -> str:
        """Name it, for people."""
        host, port = self.address
        return f"{host}:{port}"

    @property
    def readable_by_others(self) -> bool:
        """Say whether what is sent, the password too, crosses a network without encryption."""
        return not self.tls and not _is_loopback(self.address[0])

    def context(self) -> ssl.SSLContext:
        """Load whom one believes and what one shows. TLS 1.2 and 1.3; there is no way to believe everybody.

        Raises:
            Invalid: a file is missing or no PEM, or certificate and key do not belong together.
            Denied: others may read the key.
        """
        named = ", ".join(file for file in (self.ca_file, self.cert_file, self.key_file) if file)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = _Closing
            if self.cert_file is not None:
                key = Path(self.key_file or self.cert_file)
                check_readers(key, key.stat())
                # A key with a passphrase would ask for it on the terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except ssl.SSLError as exc:
            raise Invalid(f"[mqtt] the certificate files {named} cannot be used: {exc.reason or exc}") from exc
        except OSError as exc:
            raise Invalid(f"[mqtt] the certificate files {named} cannot be read: {exc.strerror}") from exc
        return context

    def unreached(self, exc: Exception) -> QueenpostError:
        """Say why no connection came to be, and what to look at."""
        match exc:
            case ssl.SSLCertVerificationError():
                why = exc.verify_message.rstrip(".")
                hint = self._mended(why)
                return Denied(f"the certificate of the MQTT broker at {self.where} is not believed: {why}; {hint}")
            case ssl.SSLError():
                hint = "does [mqtt] url name its port for TLS? cert_file and key_file are for one that asks for them"
                why = exc.reason or exc
                return Unavailable(f"the MQTT broker at {self.where} does not speak this TLS: {why}; {hint}")
            case socket.gaierror():
                return Unavailable(f"there is no host of that name: {self.where}; see [mqtt] url")
            case TimeoutError():
                return Unavailable(f"nothing answers at {self.where}; see [mqtt] url, and a firewall between")
            case ConnectionRefusedError():
                return Unavailable(f"no MQTT broker listens at {self.where}; start it, or see [mqtt] url")
            case _:
                return Unavailable(f"no MQTT broker at {self.where}: {getattr(exc, 'strerror', None) or exc}")

    def turned_away(self, answered: str, failed: str) -> QueenpostError:
        """Say why a connection ended before it was let in: by the broker's own word, or without one."""
        if answered:
            who = f"user {self.user!r}" if self.user else "somebody without a name"
            hint = (
                "see user and password_file in [mqtt]" if self.user else "it may want user and password_file in [mqtt]"
            )
            return Denied(f"the MQTT broker at {self.where} does not let in {who}: {answered}; {hint}")
        said = f" ({failed})" if failed else ""
        hint = (
            "it may want cert_file and key_file in [mqtt]"
            if self.tls
            else "a port for TLS wants mqtts:// in [mqtt] url"
        )
        return Unavailable(f"the MQTT broker at {self.where} ended the connection without a word{said}; {hint}")

    def forbidden(self, act: str) -> Denied:
        """Say what the rules of the broker do not let this user do."""
        who = f"user {self.user!r}" if self.user else "somebody without a name"
        return Denied(f"the MQTT broker at {self.where} does not let {who} {act}; its own rules (ACL) have to allow it")

    def _mended(self, why: str) -> str:
        if "mismatch" in why:
            return "let [mqtt] url name it by a name that stands in it"
        if "expired" in why or "not yet valid" in why:
            return "it has to be renewed there, or this machine's clock is wrong"
        if self.ca_file is None:
            return "name the authority that signed it by ca_file in [mqtt]"
        return f"is {self.ca_file}, ca_file in [mqtt], the authority that signed it?"


class _Closing(ssl.SSLSocket):
    """Is closed where the handshake fails; paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # as in the standard library
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
