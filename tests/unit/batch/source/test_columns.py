import pytest
from pyspark.sql.types import LongType, StringType, StructType
from undertone_batch.source.columns import find_path, quoted

INNER = StructType().add("text", StringType()).add("x.y", StringType()).add("Deep", StructType().add("z", LongType()))
SCHEMA = (
    StructType()
    .add("id", LongType())
    .add("Text", StringType())
    .add("post", INNER)
    .add("post.n", LongType())
    .add("A", LongType())
    .add("a", LongType())
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("id", ("id",)),
        ("text", ("Text",)),
        ("post.n", ("post.n",)),
        ("post.text", ("post", "text")),
        ("Post.X.Y", ("post", "x.y")),
        ("post.deep.z", ("post", "Deep", "z")),
        ("A", ("A",)),
        ("id.x", None),
        ("post.", None),
        (".", None),
        ("", None),
    ],
)
def test_the_field_of_a_name(name: str, path: tuple[str, ...] | None) -> None:
    found = find_path(SCHEMA, name)
    assert path == (None if found is None else tuple(field.name for field in found))


def test_quoted_names_can_contain_backticks_and_dots() -> None:
    assert quoted("a.b", "c`d") == "`a.b`.`c``d`"
