"""What the demo prints: steps, commands with their output, verdicts, the table at the end."""
import os
import shutil
import sys
import textwrap
import time

STYLES = {"bold": "1", "green": "32", "red": "31", "dim": "2"}


class Screen:
    def __init__(self):
        terminal = sys.stdout.isatty()
        self._colour = terminal and "NO_COLOR" not in os.environ
        self._width = shutil.get_terminal_size().columns if terminal else None
        self.verdicts = []
        self._started = time.monotonic()

    def _paint(self, text, style):
        return f"\033[{STYLES[style]}m{text}\033[0m" if self._colour else text

    def _fold(self, text, indent, hanging):
        """A long line, cut to the terminal's width; uncut where the output is a file or a pipe."""
        text = text.expandtabs(2)
        if not self._width or len(text) + indent <= self._width:
            return " " * indent + text
        return textwrap.fill(text, self._width, initial_indent=" " * indent,
                             subsequent_indent=" " * hanging, break_long_words=False,
                             break_on_hyphens=False)

    def seconds(self):
        return time.monotonic() - self._started

    def say(self, text):
        print(text, flush=True)

    def step(self, title):
        self.say("\n" + self._paint(f"{self.seconds():5.1f} s  {title}", "bold"))

    def note(self, text):
        """Something seen that no single command prints."""
        self.say(self._fold(text, 4, 4))

    def command(self, where, words, output=""):
        """`words` as they would be typed in `where`, and what came out."""
        prompt, indent = f"[{where}] $ ", 2
        shown = self._fold(prompt + words, indent, indent + len(prompt))
        self.say(shown.replace(prompt, self._paint(prompt, "dim"), 1))
        for line in output.rstrip().splitlines():
            self.say(self._fold(line, 4, 6))

    def verdict(self, sentence, holds):
        self.verdicts.append((sentence, bool(holds)))
        mark = self._paint("ok      ", "green") if holds else self._paint("FAILED  ", "red")
        self.say(f"  {mark}{sentence}")

    def table(self):
        """Whether every line holds."""
        width = max(len(s) for s, _ in self.verdicts)
        self.say("\n" + self._paint("Summary", "bold"))
        for sentence, holds in self.verdicts:
            word = self._paint("holds", "green") if holds else self._paint("DOES NOT HOLD", "red")
            self.say(f"  {sentence.ljust(width)}  {word}")
        missing = sum(1 for _, holds in self.verdicts if not holds)
        self.say(f"  {len(self.verdicts) - missing} of {len(self.verdicts)} lines hold, "
                 f"{self.seconds():.0f} s")
        return missing == 0
