"""A network for each engine: a bridge, an address range, and a few firewall rules.

The firewall rules of dockerd are disabled, because two engines would overwrite each other's chains
and not remove them. Published ports go through its proxy process.
"""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path

from processes import SYSTEM_PATH, EngineError, run

PREFIX = "pdc-"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class Network:
    """The bridge of one engine, recorded in a file so that it can be removed later."""

    def __init__(self, tag: str, record: Path) -> None:
        self.bridge = PREFIX + tag
        self.record = record

    def up(self) -> None:
        """Create the bridge, and allow its traffic."""
        net = _free_network()
        data = {"net": str(net), "mtu": _mtu()}
        self.record.write_text(json.dumps(data), encoding="utf-8")
        # Otherwise, the address changes with the containers on the bridge, and those that know the
        # old one lose the network for up to a minute.
        address = "02:42:" + net[1].packed.hex(":")
        mtu = str(_mtu())
        _ip("link", "add", self.bridge, "address", address, "mtu", mtu, "type", "bridge")
        _ip("addr", "add", f"{net[1]}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        for rule in _rules(str(net)):
            _iptables("-I", rule)
        saved = self.record.parent.parent.parent / "ip_forward"
        if not saved.exists():
            saved.write_text(FORWARDING.read_text(encoding="ascii"), encoding="ascii")
        FORWARDING.write_text("1\n", encoding="ascii")

    def dockerd_config(self) -> dict[str, object]:
        """Return the network settings for dockerd."""
        data = json.loads(self.record.read_text(encoding="utf-8"))
        net = ipaddress.ip_network(data["net"])
        pool = list(net.subnets(1))[1]
        return {
            "bridge": self.bridge,
            "mtu": data["mtu"],
            "iptables": False,
            "ip6tables": False,
            "default-address-pools": [{"base": str(pool), "size": 24}],
        }

    def down(self) -> None:
        """Remove the rules, the bridge, and the bridges of networks created in the engine."""
        if not self.record.exists():
            return
        net = json.loads(self.record.read_text(encoding="utf-8"))["net"]
        for rule in _rules(net):
            _iptables("-D", rule, check=False)
        range_ = ipaddress.ip_network(net)
        for device, interface in _addresses():
            # After an interrupted run, another engine may have the range.
            if interface.ip in range_ and not device.startswith(PREFIX):
                run(["ip", "link", "del", device], env=_ENV, check=False)
        run(["ip", "link", "del", self.bridge], env=_ENV, check=False)


def restore_forwarding(saved: Path) -> None:
    """Restore the kernel's forwarding from before the first engine."""
    if not saved.exists():
        return
    # engines of another state directory may still need it
    if not any(Path("/sys/class/net").glob(f"{PREFIX}*")):
        FORWARDING.write_text(saved.read_text(encoding="ascii"), encoding="ascii")
    saved.unlink()


_ENV = {**os.environ, "PATH": SYSTEM_PATH}


def _ip(*words: str) -> str:
    return run(["ip", *words], env=_ENV)


def _rules(net: str) -> list[list[str]]:
    """Return table, chain and rule; they are inserted first, before a DROP of a firewall."""
    return [
        ["nat", "POSTROUTING", "-s", net, "!", "-d", net, "-j", "MASQUERADE"],
        ["filter", "FORWARD", "-s", net, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-d", net, "-j", "ACCEPT"],
    ]


def _iptables(action: str, rule: list[str], *, check: bool = True) -> None:
    table, *rest = rule
    run(["iptables", "-w", "-t", table, action, *rest], env=_ENV, check=check)


def _addresses() -> list[tuple[str, ipaddress.IPv4Interface]]:
    """Return devices and their IPv4 addresses."""
    lines = _ip("-o", "-4", "addr").splitlines()
    words = [line.split() for line in lines]
    return [(word[1], ipaddress.IPv4Interface(word[3])) for word in words]


def _free_network() -> ipaddress.IPv4Network:
    used = [interface.network for _, interface in _addresses()]
    for line in _ip("-4", "route").splitlines():
        words = [word for word in line.split() if word[0].isdigit()]
        used += [ipaddress.IPv4Network(word, strict=False) for word in words[:1]]
    for number in range(200, 250):
        net = ipaddress.IPv4Network(f"10.{number}.0.0/16")
        if not any(net.overlaps(other) for other in used):
            return net
    raise EngineError("no address range is free for a bridge")


def _mtu() -> int:
    """Return the MTU of the default route, because larger packets would be lost."""
    words = _ip("-4", "route", "show", "default").split()
    if "dev" not in words:
        return 1500
    device = words[words.index("dev") + 1]
    return int(Path(f"/sys/class/net/{device}/mtu").read_text(encoding="ascii"))
