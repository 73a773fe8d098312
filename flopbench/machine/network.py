"""The interconnects of the host with their speeds, from sysfs: InfiniBand, Omni-Path, Slingshot (CXI), EFA, Ethernet."""

from __future__ import annotations

import re

from flopbench.machine.model import Network
from flopbench.machine.source import Source

_RDMA = "/sys/class/infiniband"
_NET = "/sys/class/net"
_ETHERNET, _INFINIBAND = 1, 32  # ARPHRD_ETHER, ARPHRD_INFINIBAND: Linux, include/uapi/linux/if_arp.h


def detect(source: Source) -> tuple[list[Network], dict[str, str]]:
    """(networks that a device stands behind, unknown). Ports that are down are left out; a link without a speed gets the reason."""
    networks = [*_rdma(source), *_interfaces(source)]
    unknown = {f"network.{n.name}": "the driver reports no speed" for n in networks if n.bits_per_second is None}
    if not networks:
        virtual = [n for n in source.names(_NET) if n != "lo"]
        unknown["network"] = f"only virtual interfaces: {', '.join(virtual)}" if virtual else "sysfs shows no interface"
    return networks, unknown


def _rdma(source: Source) -> list[Network]:
    """Ports under /sys/class/infiniband: `rate` is "200 Gb/sec (4X HDR)", `state` "4: ACTIVE".

    Source: Linux, Documentation/ABI/stable/sysfs-class-infiniband.

    An RDMA device over Ethernet (RoCE) is listed by its Ethernet interface, not here.
    """
    found = []
    for device in source.names(_RDMA):
        driver = source.link_name(f"{_RDMA}/{device}/device/driver") or ""
        for port in source.names(f"{_RDMA}/{device}/ports"):
            folder = f"{_RDMA}/{device}/ports/{port}"
            if "ACTIVE" not in (source.read(f"{folder}/state") or ""):
                continue
            layer = source.read(f"{folder}/link_layer") or ""
            if device.startswith("hfi") or driver == "hfi1":
                kind = "omnipath"
            elif driver == "efa" or device.startswith("efa"):
                kind = "efa"
            elif layer == "InfiniBand":
                kind = "infiniband"
            else:
                continue
            rate = re.match(r"(\d+(?:\.\d+)?) Gb/sec", source.read(f"{folder}/rate") or "")
            found.append(
                Network(
                    name=f"{device}/{port}", kind=kind, bits_per_second=float(rate.group(1)) * 1e9 if rate else None
                )
            )
    return found


def _interfaces(source: Source) -> list[Network]:
    """Interfaces of /sys/class/net behind which a device stands; `speed` is in Mbit/s, -1 if unknown.

    IP over InfiniBand is left out: it is listed as its RDMA port.
    """
    found = []
    for name in source.names(_NET):
        folder = f"{_NET}/{name}"
        if not source.exists(f"{folder}/device") or source.read(f"{folder}/operstate") == "down":
            continue
        kind_number = source.number(f"{folder}/type")
        if kind_number == _INFINIBAND:
            continue
        driver = source.link_name(f"{folder}/device/driver") or ""
        cxi = driver.startswith("cxi") or source.exists(f"{folder}/device/cxi")
        kind = "slingshot" if cxi else "ethernet" if kind_number == _ETHERNET else "unknown"
        mbit = source.number(f"{folder}/speed")
        found.append(Network(name=name, kind=kind, bits_per_second=mbit * 1e6 if mbit and mbit > 0 else None))
    return found
