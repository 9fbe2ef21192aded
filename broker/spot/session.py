"""A session token, fetched by PUT and sent with each question: so AWS (IMDSv2) and Alibaba keep forged requests out."""

from __future__ import annotations

from broker.spot.asking import Answer, ask
from broker.spot.notice import NoAnswer

_LASTS_S = 21_600


class Session:
    """One with a metadata service; a token that is refused is replaced once."""

    def __init__(self, base: str, *, lasts: str, token: str, hint: str = "") -> None:
        """`lasts` and `token` are the names of the headers; `hint` is told when no token can be had."""
        self._base, self._lasts, self._header, self._hint = base, lasts, token, hint
        self._token = ""

    async def get(self, path: str) -> Answer | None:
        """The answer to a GET; None for 404, which is how these services say that there is nothing."""
        for _ in range(2):
            if not self._token:
                self._token = await self._fetch()
            answer = await ask("GET", f"{self._base}{path}", {self._header: self._token})
            if answer.status != 401:
                break
            self._token = ""
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise NoAnswer(f"GET {path} answers with status {answer.status}")
        return answer

    async def _fetch(self) -> str:
        try:
            answer = await ask("PUT", f"{self._base}/latest/api/token", {self._lasts: str(_LASTS_S)})
        except NoAnswer as error:
            raise NoAnswer(f"{error}{self._hint}") from error
        token = answer.text.strip()
        if answer.status != 200 or not token.isascii() or not token.isprintable() or not 0 < len(token) <= 1024:
            raise NoAnswer(f"PUT /latest/api/token gives no token (status {answer.status}){self._hint}")
        return token
