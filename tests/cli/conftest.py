import sys

import pytest

from winninghand.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the program in this process; return its exit code, standard output and standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["winninghand", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return leaving.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def check_refusal(run):
    """Check that the program refuses words in one line that names the fault, and writes nothing."""

    def check(folder, words, named):
        before = sorted(folder.rglob("*"))
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert named in err
        assert sorted(folder.rglob("*")) == before

    return check
