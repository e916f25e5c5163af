"""A connection to the node through this process, which can hold or lose what passes."""

import asyncio
import socket


def elsewhere():
    """An address of this machine that no URL shows to be one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as seen:
        try:
            # Nothing is sent: the system only says which address it would send from.
            seen.connect(("203.0.113.1", 9))
        except OSError:
            return "::ffff:127.0.0.1"
        return seen.getsockname()[0]


class Relay:
    """Passes everything on, until a test says otherwise.

    `hold()` keeps answers back and `release()` lets them go. `lose` are bytes: a
    connection on which a question with them is asked is cut before they reach the node.
    It listens at `at`.
    """

    def __init__(self, url, at="127.0.0.1"):
        self.at = at
        self.host, self.port = url.removeprefix("http://").rsplit(":", 1)
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = asyncio.Event()
        self.lose = None
        self.lost = asyncio.Event()
        self.questions = []
        self.connections = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, self.at, 0)
        port = self.server.sockets[0].getsockname()[1]
        host = f"[{self.at}]" if ":" in self.at else self.at
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    def hold(self):
        """Keeps answers back; `asked` is set by the next question."""
        self.asked.clear()
        self.answers.clear()

    def release(self):
        """Passes on the answers that were kept back, and those to come."""
        self.answers.set()

    def asked_about(self, text):
        """How many questions with these bytes reached the node."""
        return sum(question.count(text) for question in self.questions)

    async def serve(self, reader, writer):
        self.connections.add(asyncio.current_task())
        there, back = await asyncio.open_connection(self.host, int(self.port))
        ways = [
            asyncio.ensure_future(self.ask(reader, back)),
            asyncio.ensure_future(self.answer(there, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # The test is over.
            pass
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            back.close()

    async def ask(self, reader, back):
        asked = bytearray()
        self.questions.append(asked)
        while data := await reader.read(65_536):
            self.asked.set()
            if self.lose is not None and self.lose in asked[-len(self.lose) :] + data:
                self.lost.set()
                return
            asked += data
            back.write(data)
            await back.drain()

    async def answer(self, there, writer):
        while data := await there.read(65_536):
            await self.answers.wait()
            writer.write(data)
            await writer.drain()
