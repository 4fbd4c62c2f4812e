"""Traffic that goes on while a test does something else."""
import threading
import time

from program import wait_until

TEXT = b"in clear?"


class Steady:
    """New connections one after the other, and one long connection, until end(); to an app that
    answers each byte with itself."""

    def __init__(self, pod, server, port):
        self.pod, self.server, self.port = pod, server, port
        self.answered, self.failed = [], []  # times
        self.breaks = 0  # of the long connection
        self.slowest = 0.0  # seconds, of a new connection that was answered
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._short), threading.Thread(target=self._long)]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _exchange(connection):
        connection.sendall(TEXT)
        got = b""
        while len(got) < len(TEXT):
            chunk = connection.recv(100)
            if not chunk:
                raise ConnectionError("the connection ended without an answer")
            got += chunk
        if got != TEXT:
            raise ConnectionError("another answer")

    def _connect(self):
        return self.pod.connect(self.server.ip, self.port, seconds=5)

    def _short(self):
        while not self._ending.wait(0.02):
            began = time.monotonic()
            try:
                with self._connect() as connection:
                    self._exchange(connection)
            except OSError:
                self.failed.append(time.monotonic())
                continue
            self.answered.append(time.monotonic())
            self.slowest = max(self.slowest, self.answered[-1] - began)

    def _long(self):
        connection = None
        while not self._ending.wait(0.02):
            try:
                connection = connection or self._connect()
                self._exchange(connection)
            except OSError:
                self.breaks += 1
                if connection:
                    connection.close()
                connection = None
        if connection:
            connection.close()

    def answered_after(self, moment):
        """The time of the first answer after the moment; none yet: None."""
        return next((t for t in self.answered if t > moment), None)

    def wait_more(self, count):
        """That many more new connections have been answered."""
        target = len(self.answered) + count
        wait_until(f"{count} more connections are answered", lambda: len(self.answered) >= target)

    @property
    def troubles(self):
        return len(self.failed) + self.breaks

    def __str__(self):
        return (f"{len(self.answered)} new connections answered, the slowest after "
                f"{self.slowest * 1000:.0f} ms, {len(self.failed)} failed, "
                f"{self.breaks} long connections broken")

    def end(self):
        self._ending.set()
        for thread in self._threads:
            thread.join()
