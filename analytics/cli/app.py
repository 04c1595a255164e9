"""`attention-atlas app`: starts the web app."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import sys
from pathlib import Path

from analytics.cli.options import Commands, positive

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: `app.py`, the pages and the assets lie there."""


def add_command(commands: Commands) -> None:
    """Add `app` to the command line."""
    parser = commands.add_parser("app", help="start the web app", description=__doc__)
    parser.add_argument("--port", type=port, default=8501, metavar="N")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="default: this machine")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where uploads are kept")
    parser.set_defaults(run=run)


def port(text: str) -> int:
    """A number of a port."""
    number = positive(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return number


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C.

    Raises:
        ValueError: the port is taken, or the app's files are not there.
    """
    if not (ROOT / "app.py").is_file():
        raise ValueError(f"expected app.py in {ROOT}; run the command out of a checkout")
    # The environment tells the server and the pages alike.
    if args.data:
        os.environ["ATTENTION_ATLAS_DATA"] = str(args.data.expanduser().resolve())
    listener = listen(args.host, args.port)
    allow(args.host)
    import uvicorn

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    print(
        f"Attention Atlas: http://{bracketed(args.host)}:{args.port}  (Ctrl-C stops it)", flush=True
    )
    # A line for every hovered patch would bury what matters. A filter, because Streamlit sets
    # the levels and handlers of uvicorn's loggers anew.
    logging.getLogger("uvicorn.access").addFilter(lambda line: line.levelno > logging.INFO)
    config = uvicorn.Config("app:app", log_level="warning")
    # Ctrl-C is how a server ends: no failure.
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def allow(host: str) -> None:
    """Let the routes answer to a named host; say what is missing where all are listened on."""
    named = os.environ.get("ATTENTION_ATLAS_HOSTS", "")
    if host not in ("0.0.0.0", "::"):
        os.environ["ATTENTION_ATLAS_HOSTS"] = ",".join(filter(None, (named, bracketed(host))))
    elif not named:
        print(
            "Other machines are refused until ATTENTION_ATLAS_HOSTS holds the names they use "
            "for this one, separated by commas.",
            file=sys.stderr,
        )


def bracketed(host: str) -> str:
    """A host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def listen(host: str, number: int) -> socket.socket:
    """The bound socket, taken before anything slow is imported.

    Raises:
        ValueError: the port is taken or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise ValueError(f"expected a host name of this machine; got {host!r}") from None
    listener = socket.socket(family, kind, protocol)
    # Without this a port stays taken for a minute after the last server has stopped.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ValueError(
            f"cannot listen on {host} port {number} ({error.strerror}); "
            "stop what uses it or choose another with --port"
        ) from None
    return listener
