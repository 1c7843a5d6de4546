"""A page to play with: one picture, corrupted at will, and what a model makes of it.

What is answered and drawn is made by functions that know nothing of a page: `playing`, `spectra`, `panels`.
Two pages show it: `layout`, by Gradio, and `plain`, without a script. `server` serves both on this machine,
and `space` writes them into a folder for a hub.
"""

from winninghand.app.playing import CardSays, Played, Says, play
from winninghand.app.server import serve
from winninghand.app.space import write_space

__all__ = ["CardSays", "Played", "Says", "play", "serve", "write_space"]
