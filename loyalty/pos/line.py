"""A line that can be cut: before a request leaves, or between the request and its answer."""

import httpx


class Line(httpx.AsyncHTTPTransport):
    """A transport that drops what its station's line drops."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.lose_answers = 0
        """So many answers will be lost although the server acts; then the line is down."""
        self.twice = 0
        """So many of the next sales are delivered twice, byte for byte."""
        self.differed = False
        """Whether such a pair ever got two different answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Deliver, lose the answer, or do not even leave."""
        if self.twice and request.url.path == "/v1/sales":
            self.twice -= 1
            first = await super().handle_async_request(request)
            await first.aread()
            response = await super().handle_async_request(request)
            await response.aread()
            self.differed = self.differed or first.content != response.content
            return response
        if self.lose_answers and request.url.path == "/v1/sales":
            self.lose_answers -= 1
            self.down = True
            response = await super().handle_async_request(request)
            await response.aread()
            raise httpx.ReadError("the line went down before the answer came")
        if self.down:
            raise httpx.ConnectError("the line is down")
        return await super().handle_async_request(request)

    def restore(self) -> None:
        """Let everything through again."""
        self.down = False
        self.lose_answers = 0
