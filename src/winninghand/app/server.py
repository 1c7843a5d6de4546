"""Both pages, served on this machine."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winninghand.base.errors import InputError
from winninghand.base.extras import needed

if TYPE_CHECKING:
    from winninghand.app.playground import Playground

HOST, PORT = "127.0.0.1", 7860
_LARGEST = 64  # megabytes of a picture
_WHY = "to show a page"
# Whatever a page or a library would like to fetch, a browser asks nobody but this server.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
_NO_SCRIPT = (
    '<noscript><p style="max-width: 40rem; margin: 3rem auto; padding: 0 1rem">This page needs JavaScript. '
    '<a href="plain">The plain page</a> answers without it.</p>'
    "<style>gradio-app { display: none !important }</style></noscript>"
)


def serve(
    model: Path | str,
    data: str | None = None,
    root: Path | None = None,
    host: str = HOST,
    port: int = PORT,
    device: str | None = None,
    trust: bool = False,
    name: str | None = None,
    samples: Path | None = None,
    told: Callable[[str], object] = print,
) -> None:
    """Serve the page of a card or a deck until it is interrupted.

    `model` is a file or a name, as for `wh.load`, and `trust` as there; `data` and `root` say which images
    are the samples, as for `wh.load_images`: without, handwritten digits. `host` and `port` are where it
    listens; port 0 is any that is free. `name` is what the page calls the model, its file's name where None.
    `samples` is a file of samples that were chosen before, as `write_space` writes it, in place of `data`.
    `told` is called with the page's address as soon as it can be opened.

    Nothing leaves the machine: the page fetches nothing from elsewhere, and pictures are kept in a folder of
    their own, which is deleted at the end. Raises `InputError` for a model or images that cannot be opened, a
    host or port that cannot be had, and where Gradio is missing.
    """
    with listening(host, port) as listener, tempfile.TemporaryDirectory(prefix="winninghand-app-") as folder:
        gradio = quiet_gradio(Path(folder))
        playground = opened(model, data, root, device, trust, name, samples)
        _run(application(gradio, playground), listener, told)


def opened(
    model: Path | str,
    data: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    trust: bool = False,
    name: str | None = None,
    samples: Path | None = None,
) -> Playground:
    """Return a model with its samples: see `serve`."""
    from winninghand.app.playground import Playground
    from winninghand.app.samples import Samples, samples_for
    from winninghand.base.device import resolve_device
    from winninghand.decks import load

    player = load(model, trust=trust).to(resolve_device(device))
    called = Path(model).name if name is None else name
    chosen = samples_for(player, called, data, root) if samples is None else Samples.load(samples)
    return Playground(player, called, chosen)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise `InputError` for a port in use and a host that is not known."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(
            f"host {host!r} is not known; give 127.0.0.1, 0.0.0.0 or a name of this machine"
        ) from None
    listener = socket.socket(family, kind, protocol)
    if os.name == "posix":  # elsewhere it would let two programs share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} of {host} is in use; end what uses it, or give another one by --port, such as "
                f"--port {port + 1 if port < 65535 else PORT}, or --port 0 for any"
            ) from None
        reason = error.strerror or error
        raise InputError(
            f"cannot listen on port {port} of {host} ({reason}); give another --host or --port"
        ) from None
    return listener


def quiet_gradio(folder: Path) -> Any:  # noqa: ANN401 (a module)
    """Return Gradio, which keeps its files in `folder` and tells nobody that it runs."""
    # Both are read when Gradio is imported or builds a page.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    return needed("gradio", "app", _WHY)


def application(gradio: Any, playground: Playground) -> Any:  # noqa: ANN401 (Gradio's and FastAPI's own)
    """Return the application that answers requests, for any ASGI server."""
    from winninghand.app import layout, plain
    from winninghand.app.panels import STYLE

    fastapi, responses = needed("fastapi", "app", _WHY), needed("fastapi.responses", "app", _WHY)
    routes = fastapi.FastAPI(openapi_url=None)

    in_thread = needed("fastapi.concurrency", "app", _WHY).run_in_threadpool

    async def plain_page(request: Any) -> Any:  # noqa: ANN401 (Starlette's own)
        if int(request.headers.get("content-length", 0)) > _LARGEST * 2**20:
            text = f"the picture is larger than {_LARGEST} megabytes; give a smaller file"
            return responses.PlainTextResponse(text, status_code=413)
        form = await request.form() if request.method == "POST" else request.query_params
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        sent, file = form.get("file"), None
        if sent is not None and not isinstance(sent, str) and sent.filename:
            file = (sent.filename, await sent.read())
        page = await in_thread(plain.page, playground, fields, file)
        return responses.HTMLResponse(page)

    routes.add_route(plain.PATH, plain_page, methods=["GET", "POST"])
    mounted = gradio.mount_gradio_app(
        routes,
        layout.blocks(gradio, playground),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=f"{_LARGEST}mb",
        theme=layout.theme(gradio),
        head=f"<style>{STYLE}{layout.STYLE}</style>",
    )
    return _Guarded(mounted)


class _Guarded:
    """Tells browsers to ask nobody else, and adds what those without a script see."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 (an ASGI application)
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's own)
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        first = scope["path"] == "/"
        if first:  # a compressed page could not be added to
            scope = {**scope, "headers": [one for one in scope["headers"] if one[0] != b"accept-encoding"]}
        start: dict[str, Any] = {}
        body = b""

        async def sent(message: Any) -> None:  # noqa: ANN401 (ASGI's own)
            nonlocal start, body
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", _POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
                if first:
                    start = message
                    return
            elif first and message["type"] == "http.response.body":
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = body.replace(b"<gradio-app", _NO_SCRIPT.encode() + b"<gradio-app", 1)
                start["headers"] = [
                    *(one for one in start["headers"] if one[0].lower() != b"content-length"),
                    (b"content-length", str(len(body)).encode()),
                ]
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self._inner(scope, receive, sent)


def _run(app: Any, listener: socket.socket, told: Callable[[str], object]) -> None:  # noqa: ANN401
    uvicorn = needed("uvicorn", "app", _WHY)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    )
    host, port = listener.getsockname()[:2]
    told(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    with suppress(KeyboardInterrupt):  # which is how it is ended
        server.run(sockets=[listener])
