"""The app over HTTP, in a browser, and from the command line."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from PIL import Image

gradio = pytest.importorskip("gradio")

from winninghand.app import server  # noqa: E402 (it needs Gradio)

HAND = "zoo:cifar10-lrr95-hand"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    import uvicorn

    quiet = server.quiet_gradio(tmp_path_factory.mktemp("files"))
    listener = server.listening("127.0.0.1", 0)
    application = server.application(quiet, server.opened(HAND, name="hand"))
    config = uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "sky.png"
    pixels = np.full((60, 80, 3), (90, 140, 220), np.uint8)
    pixels[25:35, 20:60] = 240
    Image.fromarray(pixels).save(path)
    return path


def said(answer):
    return re.search(r'role="(?:status|alert)">(.*?)</p>', answer)[1]


def test_the_api_answers_pictures_and_samples(address, photograph, tmp_path):
    client = pytest.importorskip("gradio_client")
    app = client.Client(address, verbose=False, analytics_enabled=False, download_files=tmp_path)
    before = app.predict(client.handle_file(photograph), 0, "gaussian_noise", 0, api_name="/answer")
    after = app.predict(client.handle_file(photograph), 0, "gaussian_noise", 5, api_name="/answer")
    assert said(before).startswith("The picture as it is: ")
    assert said(after).startswith("Under gaussian noise, severity 5, ")
    assert "Under fog, severity 2" in said(app.predict(None, 3, "fog", 2, api_name="/answer"))
    (tmp_path / "notes.txt").write_text("no picture")
    wrong = app.predict(client.handle_file(tmp_path / "notes.txt"), 0, "fog", 2, api_name="/answer")
    assert said(wrong) == "notes.txt cannot be read as an image; choose a PNG or JPEG file"
    assert {"/answer"} == set(app.view_api(return_format="dict", print_info=False)["named_endpoints"])


def test_who_has_no_script_is_led_to_a_plain_page(address, photograph):
    with urllib.request.urlopen(address) as page:
        text = page.read().decode()
        policy = page.headers["content-security-policy"]
    assert "<noscript><p" in text
    assert '<a href="plain">' in text
    assert "http" not in policy
    with urllib.request.urlopen(f"{address}/plain?corruption=fog&severity=1&sample=2") as page:
        text = page.read().decode()
    assert said(text).startswith("Under fog, severity 1")
    assert "<script" not in text
    parts = [
        ("corruption", None, b"fog"),
        ("severity", None, b"4"),
        ("file", "sky.png", photograph.read_bytes()),
    ]
    assert said(sent(address, parts)).startswith("Under fog, severity 4")
    wrong = [*parts[:2], ("file", "<i>.png", b"no picture")]
    assert said(sent(address, wrong)).startswith("&lt;i&gt;.png cannot be read as an image")
    assert "must be whole numbers" in said(sent(address, [("severity", None, b"much")]))
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.putrequest("POST", "/plain")
    connection.putheader("Content-Length", str(65 * 2**20))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (
        413,
        b"the picture is larger than 64 megabytes; give a smaller file",
    )
    connection.close()


def sent(address, parts):
    body = b""
    for name, file, content in parts:
        what = f'; filename="{file}"' if file else ""
        body += (
            f'--line\r\nContent-Disposition: form-data; name="{name}"{what}\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    headers = {"Content-Type": "multipart/form-data; boundary=line"}
    request = urllib.request.Request(f"{address}/plain", body + b"--line--\r\n", headers)
    with urllib.request.urlopen(request) as page:
        return page.read().decode()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_answer_follows_picture_and_slider_in_a_browser(address, photograph, tmp_path):
    spoken = "document.querySelector('.wh-said')?.textContent"
    with Browser(tmp_path / "profile") as browser:
        for width, dark in ((390, True), (1280, False)):
            browser.show(address, width, dark=dark)
            browser.until(f"{spoken}?.includes('severity 3')")
            assert browser.run("document.documentElement.scrollWidth <= innerWidth")
            browser.until(f"document.body.classList.contains('dark') == {str(dark).lower()}")
        first = browser.run(spoken)
        browser.choose_file("#wh-file input[type=file]", photograph)
        browser.until(
            f"{spoken} != {first!r} && document.querySelector('#wh-file').textContent.includes('sky')"
        )
        browser.run("document.querySelector('#wh-severity input[type=range]').focus()")
        pictures = "[...document.querySelectorAll('.wh-sides img')].map(one => one.src).join()"
        before = browser.run(pictures)
        browser.press("ArrowRight", 39)
        browser.until(f"{spoken}.includes('severity 4')")
        assert browser.run(pictures).split(",")[1] == before.split(",")[1]
        assert browser.run(pictures) != before
        browser.run("document.querySelectorAll('#wh-samples button')[4].click()")
        browser.until("!document.querySelector('#wh-file').textContent.includes('sky')")
        browser.until(f"{spoken}.includes('severity 4')")
        assert browser.console == []
        assert [one for one in browser.asked if not one.startswith((address, "data:", "blob:"))] == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_nothing_of_the_plain_form_stands_out_of_it_on_a_phone(address, tmp_path):
    beyond = "one => one.getBoundingClientRect().right > one.form.getBoundingClientRect().right"
    with Browser(tmp_path / "profile") as browser:
        browser.show(f"{address}/plain", 320)
        browser.until("document.forms.length == 1 && document.readyState == 'complete'")
        assert browser.run(f"[...document.forms[0].elements].filter({beyond}).map(one => one.name)") == []


@pytest.mark.slow
def test_the_command_says_where_it_is_and_ends_by_an_interruption():
    words = [sys.executable, "-m", "winninghand", "app", "zoo:cifar10-lrr95-clean", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        line = program.stdout.readline()
        with urllib.request.urlopen(re.search(r"http://127\.0\.0\.1:\d+", line)[0] + "/plain") as page:
            assert page.status == 200
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
    assert (program.returncode, out, err) == (0, "", "")


def test_a_port_in_use_and_a_host_of_nobody_are_told_in_one_line(monkeypatch, capsys):
    from winninghand.cli import main

    def told(*words):
        monkeypatch.setattr(sys, "argv", ["winninghand", "app", "zoo:cifar10-lrr95-clean", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        assert leaving.value.code == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 is in use; end what uses it, or give" in told("--port", str(port))
    assert "host 'no.such.invalid' is not known" in told("--host", "no.such.invalid")
    assert "'--port'" in told("--port", "65536")
    assert "no.card" in told("--port", "0", "--data", "no.card/here")
