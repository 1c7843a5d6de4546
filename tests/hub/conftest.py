import pytest
from hub_server import TOKEN, Hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine, which the hub's library asks, with a cache of its own and its owner's token."""
    from huggingface_hub import constants, file_download

    hub = Hub()
    hub.cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):  # the oldest version that is supported has it in both
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub.cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield hub
    hub.stop()
