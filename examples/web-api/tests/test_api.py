from fastapi.testclient import TestClient

from web_api.main import VERSION, app

client = TestClient(app)


def test_greets_by_name() -> None:
    answer = client.get("/", params={"name": "Ada"})
    assert answer.json() == {"message": "Acme welcomes Ada."}


def test_health_has_version() -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["version"] == VERSION
