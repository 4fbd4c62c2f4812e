"""A netlink program written by hand: one policy-routing rule, as `ip rule add` would send it."""
import base64
import struct

NETLINK_ROUTE = 0
RTM_NEWRULE, RTM_DELRULE = 32, 33
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
FRA_PRIORITY, FRA_FWMARK, FRA_FWMASK = 6, 10, 16
AF_INET, FR_ACT_TO_TBL = 2, 1
ENOENT = 2

PRIORITY = 32764
# How `ip rule show` prints it.
LINE = "32764:\tfrom all fwmark 0x111/0xfff lookup 100"


def attribute(kind, value):
    return struct.pack("=HHI", 8, kind, value)


def message(kind, flags):
    header = struct.pack("=BBBBBBBBI", AF_INET, 0, 0, 0, 100, 0, 0, FR_ACT_TO_TBL, 0)
    body = header + attribute(FRA_PRIORITY, PRIORITY) + attribute(FRA_FWMARK, 0x111) + attribute(
        FRA_FWMASK, 0xfff)
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def transaction(name, data, tolerated=None):
    entry = {"name": name, "bytes": base64.b64encode(data).decode()}
    if tolerated:
        entry["tolerated"] = tolerated
    return {"family": NETLINK_ROUTE, "messages": [entry]}


def program(*transactions):
    return {"transactions": list(transactions)}


def add():
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return program(transaction("add rule", message(RTM_NEWRULE, flags)))


def remove():
    data = message(RTM_DELRULE, NLM_F_REQUEST | NLM_F_ACK)
    return program(transaction("delete rule", data, [ENOENT]))


def add_then_fail():
    """The second message asks for a rule that the first has made."""
    data = message(RTM_NEWRULE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
    return program(*add()["transactions"], transaction("add rule twice", data))
