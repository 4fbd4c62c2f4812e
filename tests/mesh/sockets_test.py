"""The options that are really set on a running tunnel's sockets, read through copies of its own
descriptors."""
import ctypes
import errno
import os
import socket

import mesh_case
from mesh_case import MeshCase

PIDFD_OPEN, PIDFD_GETFD = 434, 438
IP_TRANSPARENT, IPV6_TRANSPARENT, TCP_USER_TIMEOUT = 19, 75, 18
MARK = 1337
CAPTURE_OUT, CAPTURE_IN, HBONE, DNS = 15001, 15006, 15008, 15053
HELD = 8083

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Sockets:
    """Copies of a process's internet sockets."""

    def __init__(self, pid):
        self.all = []
        pidfd = _check(_libc.syscall(PIDFD_OPEN, pid, 0))
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                self._copy(pid, pidfd, int(name))
        finally:
            os.close(pidfd)

    def _copy(self, pid, pidfd, number):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                return
            copy = socket.socket(fileno=_check(_libc.syscall(PIDFD_GETFD, pidfd, number, 0)))
        except OSError as error:  # it was closed meanwhile
            if error.errno not in (errno.EBADF, errno.ENOENT):
                raise
            return
        if copy.family in (socket.AF_INET, socket.AF_INET6):
            self.all.append(copy)

    def close(self):
        for handle in self.all:
            handle.close()

    def listeners(self, port, kind=socket.SOCK_STREAM):
        return [s for s in self.all if s.type == kind and s.getsockname()[1] == port
                and (kind == socket.SOCK_DGRAM or option(s, socket.SO_ACCEPTCONN))]

    def accepted(self, port):
        return [s for s in self.all if s.getsockname()[1] == port and remote_port(s)]

    def outgoing(self, port):
        return [s for s in self.all if remote_port(s) == port]


def option(handle, number, level=socket.SOL_SOCKET):
    return handle.getsockopt(level, number)


def tcp(handle, number):
    return option(handle, number, socket.IPPROTO_TCP)


def remote_port(handle):
    try:
        return handle.getpeername()[1]
    except OSError:
        return None


def is_transparent(handle):
    if handle.family == socket.AF_INET6 and option(handle, IPV6_TRANSPARENT, socket.IPPROTO_IPV6):
        return True
    return bool(option(handle, IP_TRANSPARENT, socket.IPPROTO_IP))


class Options(MeshCase):
    user_timeout = 0

    @classmethod
    def make_mesh(cls):
        super().make_mesh()
        cls.held = []
        for pod in (cls.server, cls.plain):
            pod.serve("hold", HELD)
        for source, target in ((cls.client, cls.server), (cls.client, cls.plain),
                               (cls.plain, cls.server)):
            handle = source.connect(target.ip, HELD)
            cls.addClassCleanup(handle.close)
            handle.sendall(b"x" * 64)
            assert handle.recv(64)

    def setUp(self):
        self.sockets = []
        for node in self.lab.nodes:
            self.sockets.append(Sockets(node.tunnel.pid))
            self.addCleanup(self.sockets[-1].close)

    def assert_kept_alive(self, handle):
        self.assertEqual(option(handle, socket.SO_KEEPALIVE), 1, handle)
        self.assertEqual([tcp(handle, n) for n in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL,
                                                   socket.TCP_KEEPCNT)], [180, 180, 9], handle)
        self.assertEqual(tcp(handle, TCP_USER_TIMEOUT), self.user_timeout, handle)

    def assert_each(self, handles, check):
        self.assertTrue(handles, "there is none")
        for handle in handles:
            self.assertEqual(option(handle, socket.SO_MARK), MARK, handle)
            check(handle)

    def test_listeners_are_marked_shared_and_transparent(self):
        def check(handle):
            self.assertEqual(option(handle, socket.SO_REUSEPORT), 1, handle)
            self.assertTrue(is_transparent(handle), handle)
        for port in (CAPTURE_OUT, CAPTURE_IN, HBONE):
            self.assert_each(self.sockets[0].listeners(port), check)

    def test_listeners_of_dns_are_marked_and_shared(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            self.assert_each(self.sockets[0].listeners(DNS, kind), lambda handle: self.assertEqual(
                option(handle, socket.SO_REUSEPORT), 1, handle))

    def test_captured_connections_of_apps_are_kept_alive(self):
        def check(handle):
            self.assertEqual(tcp(handle, socket.TCP_NODELAY), 1, handle)
            self.assert_kept_alive(handle)
        self.assert_each(self.sockets[0].accepted(CAPTURE_OUT), check)
        self.assert_each(self.sockets[1].accepted(CAPTURE_IN), check)

    def test_accepted_tunnels_find_out_by_pings_whether_the_peer_is_there(self):
        def check(handle):
            self.assertEqual(tcp(handle, socket.TCP_NODELAY), 1, handle)
            self.assertEqual(option(handle, socket.SO_KEEPALIVE), 0, handle)
        self.assert_each(self.sockets[1].accepted(HBONE), check)

    def test_outgoing_connections_are_kept_alive_and_do_not_share_ports(self):
        def check(handle):
            self.assertEqual(tcp(handle, socket.TCP_NODELAY), 1, handle)
            self.assertEqual(option(handle, socket.SO_REUSEPORT), 0, handle)
            self.assert_kept_alive(handle)
        self.assert_each(self.sockets[0].outgoing(HBONE), check)
        self.assert_each(self.sockets[0].outgoing(HELD), check)
        self.assert_each(self.sockets[1].outgoing(HELD), check)

    def test_connections_to_apps_have_the_clients_address(self):
        handles = self.sockets[1].outgoing(HELD)
        self.assert_each(handles, lambda handle: self.assertTrue(is_transparent(handle), handle))
        self.assertEqual({h.getsockname()[0].removeprefix("::ffff:") for h in handles},
                         {self.client.ip, self.plain.ip})


class WithUserTimeout(Options):
    environment = {"USER_TIMEOUT_ENABLED": "true"}
    user_timeout = (180 + 9 * 180) * 1000


if __name__ == "__main__":
    mesh_case.main()
