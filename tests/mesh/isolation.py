"""Runs a program as pid 1 of pid, mount and network namespaces of its own.

Whatever it starts, mounts or adds to the network ends with it, also when it is killed: /run and
/var/lib are empty file systems of its own, the network has only a loopback device.
"""
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
import threading

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1000, 0x4000, 0x40000, 0x2, 0x4, 0x8
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(BaseException):
    """A signal asked the program to end; raised once, in the main thread."""


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source, target, kind, flags, options=""):
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()),
           f"mount {kind or 'propagation'} on {target}")


def _drop_mounts_below(folder):
    """Copies of the machine's mounts: they would keep its namespaces, and go when others delete
    the files below them."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split(" ")[4] for line in file]
    for point in reversed(points):
        if point.startswith(folder + "/"):
            _libc.umount2(point.encode(), MNT_DETACH)  # a parent may have taken it along


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(handle, 0x8914, request)  # SIOCSIFFLAGS


def _make_mounts():
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    source_tree = os.open(ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for folder in ("/run", "/var/lib"):
        _drop_mounts_below(folder)
        _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    for folder in ("/run/netns", "/run/lock", "/var/lib/cni"):
        os.mkdir(folder)
    if not os.path.isdir(ROOT):  # the clone is in one of the folders that are now empty
        os.makedirs(ROOT)
        _mount(f"/proc/self/fd/{source_tree}", ROOT, "", MS_BIND)
    os.close(source_tree)


def _become_init():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _make_mounts()
    _loopback_up()
    stopped = []

    def stop(number, _frame):
        if not stopped:
            stopped.append(number)
            raise Stopped(signal.Signals(number).name)
    for number in FORWARDED:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def _wait_for(child, detach_pipe, pid_path):
    """The original process: hands signals on, ends as its child ends or when that detaches."""
    def forward(number, _frame):
        # A terminal has already sent Ctrl-C to the whole group; a second one does no harm.
        os.kill(child, number)
    for number in FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    status = os.read(detach_pipe, 1)  # empty when the child ended without detaching
    if status:
        with open(pid_path, "w", encoding="ascii") as file:
            file.write(f"{child}\n")
        os._exit(status[0])
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def enter(pid_path=None):
    """Returns in the new namespaces, as their pid 1. Call before starting threads.
    The result, called with an exit status, lets the original process end with it while this one
    lives on without a terminal; its pid is then in pid_path."""
    if os.geteuid() != 0:
        sys.exit("this needs root: it makes network namespaces")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), "unshare")
    sys.stdout.flush()
    sys.stderr.flush()
    read_end, write_end = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until both processes can handle them
    child = os.fork()
    if child:
        os.close(write_end)
        _wait_for(child, read_end, pid_path)
    os.close(read_end)
    _become_init()

    def detach(status):
        _libc.prctl(PR_SET_PDEATHSIG, 0)
        sys.stdout.flush()
        sys.stderr.flush()
        os.setsid() if os.getsid(0) != os.getpid() else None
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.write(write_end, bytes([status]))
        os.close(write_end)
    return detach


def in_netns(path, call):
    """The result of call(), made on a thread that is in the network namespace."""
    outcome = []

    def run():
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _check(_libc.setns(handle, CLONE_NEWNET), f"enter {path}")
            finally:
                os.close(handle)
            outcome.append((call(), None))
        except BaseException as error:  # handed to the caller's thread
            outcome.append((None, error))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error:
        raise error
    return result
