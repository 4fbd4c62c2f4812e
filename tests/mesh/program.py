"""Child programs of the lab: started in a network namespace, logged to a file, ended by pid."""
import os
import signal
import subprocess
import threading
import time


class LabError(Exception):
    """The lab could not be brought to where a test needs it."""


def wait_until(what, condition, seconds=20.0):
    """The first true value of condition(); LabError with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"after {seconds:g} s still not so: {what}")
        pause.wait(0.02)


def run(arguments, netns=None, environment=None, seconds=60.0, check=True):
    """CompletedProcess with both outputs in stdout as text."""
    command = (["nsenter", f"--net={netns}", "--"] if netns else []) + list(arguments)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds,
                          env={**os.environ, **(environment or {})}, start_new_session=True)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout.strip()}")
    return done


class Program:
    """A program that keeps running; start() again after kill() appends to the same log."""

    def __init__(self, name, arguments, log_folder, netns=None, environment=None):
        self.name, self.netns = name, netns
        self.arguments, self.environment = list(arguments), dict(environment or {})
        self.log_path = os.path.join(log_folder, name + ".log")
        self.process = None

    def start(self):
        enter = ["nsenter", f"--net={self.netns}", "--"] if self.netns else []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                enter + self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment}, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, number=signal.SIGTERM, seconds=20.0):
        """Its exit status; SIGKILL where the deadline passes."""
        if self.running():
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(seconds)
        return self.process.returncode if self.process else None

    def kill(self):
        return self.end(signal.SIGKILL)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, text, seconds=20.0, after=0):
        """The first line with `text` past the offset `after` of the log."""
        def find():
            if not self.running():
                raise LabError(f"{self.name} ended with {self.process.returncode} "
                               f"before its log said '{text}':\n{self.log()[-2000:]}")
            for line in self.log()[after:].splitlines():
                if text in line:
                    return line
            return None
        return wait_until(f"the log of {self.name} says '{text}'", find, seconds)
