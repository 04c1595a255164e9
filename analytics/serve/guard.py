"""Who may call our routes, and what a caller hears when something goes wrong.

Streamlit checks nothing for routes that are not its own: the Host header is compared with
a list (against rebinding of names), Origin and Sec-Fetch-Site refuse other sites' pages.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from analytics.serve.state import Services

log = logging.getLogger(__name__)

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Problem(Exception):
    """An answer other than success: an HTTP status and one plain sentence."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both for the answer."""
        super().__init__(message)
        self.status = status


Handler = Callable[["Services", Request], Any]
"""A plain function runs in a thread; a coroutine function runs on the event loop."""


def guarded(
    get: Callable[[], Services], handle: Handler, methods: Collection[str] = ("GET", "HEAD")
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler: checks before it, plain JSON errors after it.

    Args:
        get: gives the process's services.
        handle: makes the response; `Problem` and `ValueError` (400) become JSON errors,
            everything else one line in the log and a 500 without details.
        methods: HTTP methods that it answers.
    """

    def enter(request: Request) -> Services:
        here = get()
        check_request(request, here.settings.hosts, methods)
        return here

    def answer(request: Request) -> Response:
        return handle(enter(request), request)

    async def endpoint(request: Request) -> Response:
        try:
            if inspect.iscoroutinefunction(handle):
                response = await handle(await run_in_threadpool(enter, request), request)
            else:
                response = await run_in_threadpool(answer, request)
        except ClientDisconnect:
            response = refusal(request, 400, "the connection ended before the request did")
        except Problem as problem:
            response = refusal(request, problem.status, str(problem))
        except ValueError as error:
            response = refusal(request, 400, str(error))
        except Exception as error:
            log.error("%s %r failed: %r", request.method, request.url.path, error)
            log.debug("the failure in full", exc_info=True)
            response = _json(500, "unexpected failure on the server; its log has one line on it")
        response.headers.update(HEADERS)
        return response

    return endpoint


def check_request(request: Request, hosts: Collection[str], methods: Collection[str]) -> None:
    """Refuse what a page of ours on a host of ours would not send.

    Args:
        request: the request.
        hosts: names that the server answers to, besides the local ones; any port.
        methods: HTTP methods that are allowed.

    Raises:
        Problem: 403 for a foreign host or site, 405 for another method.
    """
    host = request.headers.get("host", "").lower()
    if _name(host) not in LOCAL_HOSTS | {name.lower() for name in hosts}:
        raise Problem(403, "this host name is not allowed; see ATTENTION_ATLAS_HOSTS in the docs")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        raise Problem(403, "requests from other sites are not allowed")
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Problem(403, "requests from other sites are not allowed")
    if request.method not in methods:
        raise Problem(405, f"expected {' or '.join(methods)}; got {request.method}")


def refusal(request: Request, status: int, message: str) -> Response:
    """An error as JSON, and one line in the log."""
    # repr keeps line breaks of a hostile address out of the log.
    log.warning("%s %r refused, %d: %s", request.method, request.url.path, status, message)
    return _json(status, message)


def _json(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status, {"Cache-Control": "no-store"})


def _name(host: str) -> str:
    """The host without its port; brackets of an IPv6 address stay."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
