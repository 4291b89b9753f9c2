"""What every request to the page is held to before a view is asked, and what every answer carries.

Cookies do not tell ports apart: another server on this machine's loopback is "the same site". So a
change needs the session's own token, and what no page of ours would send is refused by what
browsers say of a request (Sec-Fetch-*, Origin), whatever cookie it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: No script, style or frame but our own, and no request to anybody else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: What every answer carries; pages are never kept by anybody.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: What a page in a frame is fetched as.
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})


def cookie_name(port: str) -> str:
    """Return the cookie's name: supervisors of one machine differ in nothing but the port."""
    return f"khive-desk-{port}"


def set_cookie(name: str, key: str) -> str:
    """Return the header that gives a browser its key; it is gone when the browser is closed."""
    return f"{name}={key}; Path=/; HttpOnly; SameSite=Strict"


def drop_cookie(name: str) -> str:
    """Return the header that takes a browser's key away."""
    return f"{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"


def cookie_in(header: str, name: str) -> str:
    """Return a cookie's value; empty if it is not there, or there twice."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Return True if a browser says that another page than ours sends a request."""
    site = headers.get("sec-fetch-site", "none")
    if headers.get("sec-fetch-dest", "") in _FRAMES:
        return True
    if site in ("same-origin", "none"):
        return False
    return method != "GET" or headers.get("sec-fetch-mode", "") != "navigate"


def own_origin(origins: Iterable[str], host: str) -> bool:
    """Return True if a request names no origin, or the one that it is sent to."""
    return all(one.lower() in (f"http://{host}", f"https://{host}") for one in origins)
