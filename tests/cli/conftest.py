import pytest


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
