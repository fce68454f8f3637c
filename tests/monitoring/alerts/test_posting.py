"""Where a message may be posted: to public addresses alone, by what a name means at that moment, over trusted TLS."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3.util.connection import HAS_IPV6

from monitoring.alerts.channels.posting import address_check, post, private_words
from monitoring.alerts.channels.sending import NotSent, Refused
from tests.instruments.mycirrus.served import Reply, Served, endless
from tests.monitoring.alerts.chatserver import PLAIN, SERVICES, ChatServer, chat_server

NAME = "hooks.noise-channel.example"
# Anybody's public address; the tests' own name server lets it mean this machine.
PUBLIC = "93.184.216.34"
NOWHERE = "nowhere"
PATH = SERVICES["slack"][0]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "10.255.255.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    # Other spellings of 127.0.0.1.
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[fd00::1]",
    "[fe80::1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::1]",
    # A name that leads there.
    "localhost",
]


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for ``names`` with its key in one file, signed by itself, and the same to be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stands for a service")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    whole, trusted = folder / "server.pem", folder / "trusted.pem"
    whole.write_bytes(secret + made)
    trusted.write_bytes(made)
    return whole, trusted


class Names:
    """A name server: each name means what is next in its list, the last for ever; addresses mean themselves."""

    def __init__(self) -> None:
        self.means: dict[str, list[str]] = {PUBLIC: ["127.0.0.1"]}
        self.asked: list[str] = []
        self.real = socket.getaddrinfo

    def getaddrinfo(self, host: str, port: Any, *rest: Any, **named: Any) -> Any:
        self.asked.append(host)
        answers = self.means.get(host)
        if answers is None:
            return self.real(host, port, *rest, **named)
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        if address == NOWHERE:
            raise socket.gaierror("nobody there")
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, int(port)))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What names mean is chance, as far as we are concerned."""
    server = Names()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    return server


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """The services over TLS, with a certificate for NAME that this installation trusts."""
    from instruments.mycirrus.wire import environment

    whole, trusted = certificate(tmp_path, NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(whole)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    environment.cache_clear()
    with chat_server(context) as server:
        yield server
    environment.cache_clear()


def send(address: str) -> str:
    return post(address, body=b'{"text": "hello"}', headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "host",
    [
        # Where the system has no IPv6 such an address means nothing, and nobody can be reached by it.
        pytest.param(host, marks=pytest.mark.skipif(":" in host and not HAS_IPV6, reason="no IPv6 here"))
        for host in PRIVATE
    ],
)
def test_private_addresses_are_refused_when_saving_and_when_sending(host: str) -> None:
    with chat_server() as server:
        port = server.server_address[1]
        for ask in (address_check, send):
            with pytest.raises(Refused) as refused:
                ask(f"https://{host}:{port}{PATH}")
            assert str(refused.value) == private_words()
        assert server.asked == []
        assert server.connections == 0


def test_where_the_installation_allows_them_they_are_used(settings: Any) -> None:
    settings.CHANNEL_PRIVATE_ADDRESSES = True
    with chat_server() as server:
        for host in ("127.0.0.1", "localhost"):
            address_check(server.address("slack", host))
            assert send(server.address("slack", host)) == "200 OK: ok"


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/T/B/x",
        "ftp://hooks.slack.com/x",
        "hooks.slack.com/services/T/B/x",
        "https://",
        "https:///services",
        "https://user:pass@hooks.slack.com/x",
        "https://hooks.slack.com/a b",
        "https://hooks.slack.com/\nHost: evil",
        "https://hooks.slack.com:0/",
        "https://hooks.slack.com:99999/",
        "https://[::1/",
        "https://<script>alert(1)</script>.example/x",
        'https://hooks.sl"ck.com/x',
        "https://[fe80::1%25<b>]/x",
        "https://hooks.slack.com/" + "x" * 2000,
        "javascript:alert(1)",
        "",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    for ask in (address_check, send):
        with pytest.raises(Refused):
            ask(address)


def test_a_public_name_is_posted_to_over_tls_under_its_own_name(secure: ChatServer, names: Names) -> None:
    """The connection goes to the address that was looked at, and the certificate is that of the name."""
    names.means[NAME] = [PUBLIC]
    port = secure.server_address[1]
    assert send(f"https://{NAME}:{port}{PATH}") == "200 OK: ok"
    assert secure.room("slack").headers[0]["host"] == f"{NAME}:{port}"
    # Looked up once; what is then connected to is that address and not the name.
    assert names.asked == [NAME, PUBLIC]


def test_a_certificate_of_another_name_is_not_trusted(secure: ChatServer, names: Names) -> None:
    names.means["other.noise-channel.example"] = [PUBLIC]
    with pytest.raises(NotSent, match="could not be trusted"):
        send(f"https://other.noise-channel.example:{secure.server_address[1]}{PATH}")
    assert secure.asked == []


def test_a_name_that_was_public_when_saved_is_looked_at_again(secure: ChatServer, names: Names) -> None:
    names.means[NAME] = [PUBLIC, "127.0.0.1"]
    address = f"https://{NAME}:{secure.server_address[1]}{PATH}"
    address_check(address)
    with pytest.raises(Refused) as refused:
        send(address)
    assert str(refused.value) == private_words()
    assert secure.connections == 0


def test_a_name_that_changes_between_the_look_and_the_connection_gains_nothing(
    secure: ChatServer, names: Names
) -> None:
    """DNS rebinding: public for whoever looks first, private for whoever connects."""
    names.means[NAME] = [PUBLIC, "127.0.0.1", "127.0.0.1"]
    # Whoever asks for the address itself finds nobody; whoever asked for the name again would find this machine.
    names.means[PUBLIC] = [NOWHERE]
    with pytest.raises(NotSent):
        send(f"https://{NAME}:{secure.server_address[1]}{PATH}")
    assert names.asked == [NAME, PUBLIC]
    assert secure.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_a_private_network_is_not_followed(
    secure: ChatServer, names: Names, status: int
) -> None:
    names.means[NAME] = [PUBLIC]
    with chat_server() as inside:
        there = f"http://127.0.0.1:{inside.server_address[1]}{PATH}"
        secure.room("slack").always = (status, {**PLAIN, "Location": there}, b"")
        with pytest.raises(Refused, match="redirects are not followed"):
            send(f"https://{NAME}:{secure.server_address[1]}{PATH}")
        assert inside.connections == 0
    assert len(secure.asked) == 1


@pytest.mark.parametrize("status", [200, 302, 500])
def test_an_answer_without_an_end_is_not_read_to_it(settings: Any, status: int) -> None:
    settings.CHANNEL_PRIVATE_ADDRESSES = True
    hung_up, server = threading.Event(), Served()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nLocation: /elsewhere\r\n\r\n".encode()
    server.say(Reply(write=lambda connection: endless(connection, head, hung_up)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        with suppress(NotSent, Refused):
            send(f"{server.url}/hook")
        assert hung_up.wait(60)
    finally:
        server.shutdown()
        server.server_close()


def test_nothing_of_the_operator_goes_along(
    secure: ChatServer, names: Names, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A password in .netrc for that host would be the operator's, and the address is a customer's."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {NAME} login operator password operators-own\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    names.means[NAME] = [PUBLIC]
    send(f"https://{NAME}:{secure.server_address[1]}{PATH}")
    assert "authorization" not in secure.room("slack").headers[0]


def test_a_failure_names_nothing(names: Names) -> None:
    names.means[NAME] = [PUBLIC]
    names.means[PUBLIC] = ["127.0.0.1"]
    with pytest.raises(NotSent) as failed:
        send(f"https://{NAME}:9{PATH}")
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
