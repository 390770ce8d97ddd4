import shop


def test_shop() -> None:
    assert shop
