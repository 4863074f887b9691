"""A Prometheus that holds what a file in OpenMetrics says. Needs promtool and prometheus."""

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

PORT = 19871


@contextlib.contextmanager
def prometheus(file, directory, *flags):
    """Makes blocks of the file, which is removed, and serves them until the end.

    Gives the process's number.
    """
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=240h"]
    subprocess.run([*blocks, file, directory / "data"], check=True)
    file.unlink()
    (directory / "prometheus.yml").write_text("{}")
    process = subprocess.Popen([
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        # What was written long ago stays.
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--log.level=error",
        "--query.timeout=1h",
        *flags,
    ])
    try:
        for _ in range(600):
            time.sleep(0.2)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/ready", timeout=5).close()
                break
            except urllib.error.URLError:
                if process.poll() is not None:
                    raise SystemExit("Prometheus does not start: is the port free?") from None
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def ask(path, parameters):
    """The bytes of an answer, and the seconds that it took."""
    data = urllib.parse.urlencode(parameters).encode()
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/{path}", data, timeout=3600) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{parameters['query']}: {error.read().decode()}") from error
    return body, time.monotonic() - began


def cpu(process):
    """Seconds of processor time that a process has had (Linux)."""
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def series(path, parameters):
    """The series of an answer."""
    return json.loads(ask(path, parameters)[0])["data"]["result"]
