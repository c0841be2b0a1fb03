"""No webhook goes where only we can go."""

import socket
from ipaddress import ip_address

import pytest

from incentives.partners import addresses
from incentives.partners.addresses import Refused, Unresolved


@pytest.fixture
def names(monkeypatch):
    """Names and what they lead to: each look-up takes the next answer, the last one stays."""
    book: dict[str, list[list[str]]] = {}

    def look_up(host, port, *options, **named):
        answers = book.get(host)
        if answers is None:
            return real(host, port, *options, **named)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    real = socket.getaddrinfo
    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    return book


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/",
        "https:///hook",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com/#fragment",
        "https://example.com\\@127.0.0.1/",
        "https://exam ple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: x",
        "https://example.com/\x00",
        "https://exämple.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:\uff11/",
        "https://example.com:443x/",
        "https://example.com?query",
        "https://[::1/",
        "https://example.com/" + "x" * 500,
        "HTTPS//example.com",
        "//example.com/",
        "",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(Refused):
        addresses.place_of(url)


def test_an_address_is_read_in_one_way():
    place = addresses.place_of("https://Partner.example:8443/a/b?c=d&e=%20")
    assert (place.host, place.port, place.target) == ("partner.example", 8443, "/a/b?c=d&e=%20")
    assert place.authority == "partner.example:8443"
    assert addresses.place_of("https://partner.example").authority == "partner.example"
    assert addresses.place_of("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_of_our_own_network_is_not_public(address):
    assert not addresses.is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"])
def test_an_address_of_the_world_is_public(address):
    assert addresses.is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[fe80::1]",
    ],
)
def test_however_it_is_written_ourselves_and_the_metadata_service_are_refused(host):
    with pytest.raises(Refused):
        addresses.vetted(addresses.place_of(f"https://{host}/hook"))


def test_a_name_with_one_private_address_among_public_ones_is_refused(names):
    names["mixed.example"] = [["93.184.216.34", "10.0.0.1"]]
    with pytest.raises(Refused):
        addresses.vetted(addresses.place_of("https://mixed.example/"))


def test_a_public_name_leads_to_all_its_addresses_once(names):
    names["public.example"] = [["93.184.216.34", "93.184.216.34", "8.8.8.8"]]
    found = addresses.vetted(addresses.place_of("https://public.example:444/"))
    assert found == [("93.184.216.34", 444), ("8.8.8.8", 444)]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "a..example", "-"])
def test_a_name_without_an_address_is_unresolved(host):
    with pytest.raises(Unresolved):
        addresses.vetted(addresses.place_of(f"https://{host}/"))


def test_a_name_that_turns_to_us_between_saving_and_sending_is_refused(names):
    names["rebinding.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    place = addresses.place_of("https://rebinding.example/")
    addresses.vetted(place)
    with pytest.raises(Refused):
        addresses.connect(place, seconds=1)


def test_the_connection_goes_to_the_address_that_was_looked_at(names, settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    # A second look-up would lead to where nobody listens.
    names["turning.example"] = [["127.0.0.1"], ["::1"]]
    with socket.create_server(("127.0.0.1", 0)) as ourselves:
        port = ourselves.getsockname()[1]
        with addresses.connect(
            addresses.place_of(f"http://turning.example:{port}/"), seconds=1
        ) as link:
            assert link.getpeername() == ("127.0.0.1", port)


def test_an_address_that_does_not_answer_is_followed_by_the_next(names, settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    names["two.example"] = [["::1", "127.0.0.1"]]
    with socket.create_server(("127.0.0.1", 0)) as ourselves:
        port = ourselves.getsockname()[1]
        place = addresses.place_of(f"http://two.example:{port}/")
        with addresses.connect(place, seconds=1) as link:
            assert link.getpeername() == ("127.0.0.1", port)


def test_loopback_is_allowed_by_its_setting_alone_and_nothing_else_with_it(settings):
    settings.WEBHOOKS_TO_LOOPBACK = True
    assert addresses.vetted(addresses.place_of("http://127.0.0.1:9/")) == [("127.0.0.1", 9)]
    for url in ["http://10.0.0.1/", "https://169.254.169.254/", "http://8.8.8.8/"]:
        with pytest.raises(Refused):
            addresses.vetted(addresses.place_of(url))
