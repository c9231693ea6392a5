import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.json_syntax import syntax_problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the text ends here, but the JSON is incomplete"),
        ('{"text": "a"', "the text ends here, but the JSON is incomplete"),
        ('[{"text": "a"},\n', "the text ends here, but the JSON is incomplete"),
        ("hello", "a value is expected, such as a string in double quotes"),
        ("{'text': 'a'}", "the name of a field in double quotes is expected"),
        ('{"text" "a"}', "a colon is expected"),
        ('{"text": "a" "id"}', "a comma or a closing bracket is expected"),
        ('{"text": "a"} x', "there is more text after the end of the JSON"),
        ('{"text": "a\nb"}', "a line break or another control character: write it as an escape sequence"),
        ('{"text": "\\x41"}', "an escape sequence is invalid: write a backslash as \\\\"),
        ('{"text": "\\u00"}', "an escape sequence is invalid"),
        ('{"text": "a', "the string that starts here has no closing quote"),
        ("\ufeff{}", "byte order mark: remove it"),
    ],
)
def test_the_problem_is_named_in_terms_of_json(text: str, problem: str) -> None:
    with pytest.raises(json.JSONDecodeError) as failure:
        json.loads(text)
    assert problem in syntax_problem(failure.value)


@given(st.text('{}[]",:\\u0 \n\x01textid1e.-', max_size=40))
def test_every_error_of_the_decoder_is_known(text: str) -> None:
    problem = ""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        problem = syntax_problem(error)
    assert problem != "the JSON is invalid here"


def test_an_unknown_error_is_still_an_error() -> None:
    assert syntax_problem(json.JSONDecodeError("New message", "{}", 0)) == "the JSON is invalid here"
