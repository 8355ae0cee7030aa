"""How a command ends on a mistake."""

import pytest

from jax_labor.errors import UserError, exit_on_mistake


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("a.png: truncated. Restore it."), "error: a.png: truncated. Restore it.\n"),
        (PermissionError(13, "Permission denied", "/x/a.png"), "error: /x/a.png: Permission den"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, error, message):
    with pytest.raises(SystemExit) as stop, exit_on_mistake():
        raise error
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(message) and printed.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("ours"), PermissionError("of no file")])
def test_what_is_no_mistake_of_the_user_keeps_its_traceback(error):
    with pytest.raises(type(error), match=str(error)), exit_on_mistake():
        raise error
