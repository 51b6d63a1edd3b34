"""The README's tour, line by line: each command runs in a shell and must print what the README prints; each step in the
browser is done in Chromium. A line of the tour that nothing here executes is a failure."""

import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from test_browser import Chromium, login_operator, login_tenant, open_object

ROOT = pathlib.Path(__file__).parents[2]
MADE = ["bailee-data", "hello.txt", "acme.bundle", "bad.bundle", "cut.bundle", "wu.json", "reader.json",
        "acme.receipt", "auditor.policy", "report.md", "report.pdf"]
PATIENCE = 600


class Shell:
    """One bash, as the reader's terminal: what is exported stays."""

    def __init__(self, env):
        self.process = subprocess.Popen(["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=ROOT, env=env)
        # A carriage return is not the end of a line.
        self.output = io.TextIOWrapper(self.process.stdout, newline="\n")

    def run(self, command):
        self.process.stdin.write(f'{command}\necho "--end-$?--"\n'.encode())
        self.process.stdin.flush()
        lines = []
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        for line in self.output:
            if end := re.fullmatch(r"(.*)--end-(\d+)--\n", line, re.DOTALL):
                timer.cancel()
                return "".join(lines) + end.group(1), int(end.group(2))
            lines.append(line)
        raise AssertionError(f"`{command}` did not end\n{''.join(lines)}")

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


def like(wanted, printed):
    """Whether text is as the README has it; `…` stands for anything, across lines if it is a line of its own."""
    pattern = "".join(r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\s*\n"
                      for line in wanted.splitlines())
    # The AWS tool draws its progress over itself.
    printed = "\n".join(line.split("\r")[-1] for line in printed.rstrip("\n").split("\n")) + "\n"
    return re.fullmatch(pattern, printed if printed != "\n" else "") is not None


def tour():
    """The tour's parts in order: ("run", command, what it prints) and ("step", text)."""
    text = (ROOT / "README.md").read_text()
    text = text[text.index("## A five-minute tour"):text.index("## What it is made of")]
    block, parts = None, []
    for line in text.splitlines():
        if line.startswith("```"):
            block = None if block is not None else []
            continue
        if block is None:
            if line.startswith("- [ ] "):
                parts.append(["step", line.removeprefix("- [ ] ")])
            continue
        block.append(line)
        if line.startswith("$ "):
            parts.append(["run", line[2:], ""])
        elif line.startswith("> ") or line == ">":
            parts[-1][1] += "\n" + line[2:]
        else:
            parts[-1][2] += line + "\n"
    return parts


class Server:
    """What the first command of the tour started."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(["bash", "-c", "exec " + command], cwd=ROOT, env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                return
        raise AssertionError(f"`{command}` ended\n{self.printed}")

    def know(self, logins):
        self.info, self.console = logins, logins["console"]

    def tenant(self, alias="acme"):
        return next(t for t in self.info["tenants"] if t["alias"] == alias)

    def operator(self, name="op-lin"):
        return next(o for o in self.info["operators"] if o["id"] == name)


class Steps:
    """The reader in his browser: the operator's window and the customer's."""

    def __init__(self, server, folder):
        self.server = server
        self.lin, self.li = Chromium(server, folder / "lin"), Chromium(server, folder / "li")

    def sign_in_operator(self):
        login_operator(self.lin, self.server)
        assert "T-1" in self.lin.text and "Some invoice PDFs open blank" in self.lin.text

    def open_folder(self):
        self.follow("Work")
        self.follow("acme-invoices")
        for part in ("invoices/", "2026-11/"):
            self.follow(part)
        assert "1.pdf" in self.lin.text and "48,000" not in self.lin.text

    def follow(self, text):
        before = self.lin.driver.current_url
        link = next(a for a in self.lin.there("main a") if text in a.text)
        link.click()
        assert self.lin.driver.current_url != before

    def press_open(self, name, *words):
        open_object(self.lin, name)
        said = self.lin.find("#failure").text
        for word in words:
            assert word in said, said

    def ask(self):
        self.lin.fill(minutes="30", uses="3", reason="It opens blank at the customer's").press("#ask")

    def sign_in_tenant(self):
        login_tenant(self.li, self.server)

    def approve(self):
        self.li.go("/console/consent")
        for word in ("emp-", "CN", "It opens blank", "30", "3 reads"):
            assert word in self.li.text
        grant = re.search(r"G-[a-z0-9]{12}", self.li.driver.page_source).group(0)
        self.li.press(f"#approve-{grant}")
        self.grant = grant

    def download(self):
        open_object(self.lin, "1.pdf")
        assert b"Orchid Insurance" in self.lin.downloaded()

    def revoke(self):
        self.li.go("/console/consent").press(f"#revoke-{self.grant}")

    def look(self):
        self.li.go("/console/trail")
        text = self.li.text
        for word in ("GetObject", "Done", "Refused", "emp-", "CN", "It opens blank", "T-1", self.grant):
            assert word in text, (word, text)
        assert "checkpoint" in self.li.find("#checkpoint").text
        records = [int(n) for n in re.findall(r"records? (\d+)", text)]
        assert records == sorted(records, reverse=True) and len(records) > 5

    def quit(self):
        self.lin.quit()
        self.li.quit()


def does(steps):
    """What each step of the README does here, by its words."""
    return {
        'Sign in as the operator `op-lin`: the desk shows ticket T-1, "Some invoice PDFs open blank".':
            steps.sign_in_operator,
        "Press *Work*, open the bucket `acme-invoices` and the folder `invoices/2026-11/`: names and sizes, no content.":
            steps.open_folder,
        'Press *Open object* beside `1.pdf`: refused, "no live grant covers `GetObject` for ticket `T-1` (none was asked for)".':
            lambda: steps.press_open("1.pdf", "no live grant covers `GetObject` for ticket `T-1` (none was asked for)"),
        "On the same page, ask for consent: 30 minutes, 3 reads, and a reason.": steps.ask,
        "In a private window, sign in as `li` of the tenant `acme`.": steps.sign_in_tenant,
        'Under "Who wants to touch my data" stands the request: who, from where, why, for how long, how often. Approve it.':
            steps.approve,
        "As `op-lin`, press *Open object* beside `1.pdf` again: the invoice is downloaded.": steps.download,
        "Press *Open object* beside `2.pdf`: still refused.": lambda: steps.press_open("2.pdf", "none was asked for"),
        "As `li`, press *Revoke now*.": steps.revoke,
        'As `op-lin`, press *Open object* beside `1.pdf`: refused, "the tenant revoked the grant".':
            lambda: steps.press_open("1.pdf", "the tenant revoked the grant"),
        'As `li`, open "Who touched my data": each act with its outcome and each refusal, in order, with the operator\'s '
        "pseudonym, place, reason, ticket and grant, and the checkpoint that covers them.": steps.look,
    }


@pytest.fixture
def clean():
    def remove():
        for name in MADE:
            path = ROOT / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    if (ROOT / "bailee-data").exists():
        pytest.fail("bailee-data lies in the repository already: the tour would use what somebody works with")
    remove()
    yield
    remove()


def test_every_line_of_the_tour(clean, tmp_path):
    parts = tour()
    assert sum(p[0] == "run" for p in parts) >= 12 and sum(p[0] == "step" for p in parts) >= 10
    # The clients of the reader come first on the path, as they would on his machine.
    python = pathlib.Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{python}:{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}
    for name in [n for n in env if n.startswith(("BAILEE_", "AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))]:
        del env[name]
    server = shell = steps = None
    try:
        for kind, text, *wanted in parts:
            if kind == "step":
                if steps is None:
                    logins, code = shell.run("bailee dev --logins --json")
                    assert code == 0, logins
                    server.know(json.loads(logins))
                    steps = Steps(server, tmp_path)
                assert text in does(steps), f"nothing executes this step: {text}"
                print("step", text)
                does(steps)[text]()
            elif server is None:
                server = Server(text, env)
                assert like(wanted[0], server.printed), f"it printed\n{server.printed}"
                shell = Shell(env)
            else:
                print("$", text)
                printed, code = shell.run(text)
                print(printed)
                assert code == 0, (text, code, printed)
                if wanted[0] or "cargo" not in text:  # what cargo says while it builds is not compared
                    assert like(wanted[0], printed), f"`{text}` printed\n{printed}\nand the README has\n{wanted[0]}"
    finally:
        if steps:
            steps.quit()
        if shell:
            shell.end()
        if server:
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 0, "Ctrl-C stops it cleanly"
