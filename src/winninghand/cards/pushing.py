"""What cards and decks have in common: they go to the hub in the same way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from winninghand.cards.container import model_digest

if TYPE_CHECKING:
    from winninghand.cards.publishing import Publishable
    from winninghand.hub.evaluation import Results
    from winninghand.hub.uploading import Published


def push_to_hub(
    self: Publishable,
    repository: str,
    revision: str | None = None,
    private: bool = False,
    token: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    results: Results | None = None,
) -> Published:
    """Upload it to `OWNER/NAME` on the Hugging Face hub, with a page made of its own facts.

    The repository is made where it is not there, `private` if so wished, and gets one commit: the
    file, `model.card` or `model.deck`, and its page, `README.md`. `revision` is a branch, by default `main`;
    `token` is by default that of `hf auth login` or of `HF_TOKEN`. `licence` is as the hub names it, such as
    `mit`. `data` names the images that it was trained on. `results` are the table of `wh.evaluate`, or
    the file of `winninghand evaluate --json`: they go into the hub's metadata. Without them a card's
    own accuracies do, where `data` names their images.

    Returns the address of that commit, which `wh.load` takes. Raises `InputError` for another
    name, without a token, for results of another model, and where the hub cannot be reached or refuses.
    """
    # What is only played needs none of it.
    from winninghand.cards.publishing import facts_of
    from winninghand.hub.address import FILES, checked_repository
    from winninghand.hub.evaluation import evaluation_of
    from winninghand.hub.folder import write_folder
    from winninghand.hub.page import About, checked_licence
    from winninghand.hub.uploading import checked_branch, checked_token, upload

    checked_repository(repository), checked_branch(revision), checked_licence(licence)
    token = checked_token(token)
    with tempfile.TemporaryDirectory(prefix="winninghand-") as place:
        file = Path(place) / f"model.{self.kind}"
        self.save(file)
        evaluation = None if results is None else evaluation_of(results, data, model_digest(file))
        about = About(repository, revision, licence, data, evaluation)
        folder = Path(place) / "repository"
        write_folder(folder, file, facts_of(self), about)
        return upload(folder, repository, "model", revision, private, token, FILES)
