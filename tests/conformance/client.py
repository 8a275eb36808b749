"""A client of any gRPC server, and of Gale, that starts from the address alone.

Nothing is generated and no .proto file is read: services, methods and messages come
from the server's reflection. Requests are written as keyword arguments:

    gale = Client("127.0.0.1:7400")
    gale.MarketService.GetMarket(market="demo").market.status.workers
"""

import base64
import http.client
import threading
import time
import urllib.parse
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

PACKAGE = "gale.v1"
SECONDS_PER_CALL = 20
MESSAGE_BYTES_MAX = 64 << 20


def new_uuid():
    return str(uuid.uuid4())


class Method:
    """One rpc; calling it sends one request (an iterator of them if it streams)."""

    def __init__(self, client, descriptor):
        self.path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        self.request = message_factory.GetMessageClass(descriptor.input_type)
        self.response = message_factory.GetMessageClass(descriptor.output_type)
        self.client_streams = descriptor.client_streaming
        self.server_streams = descriptor.server_streaming
        open_method = getattr(
            client.channel,
            f"{'stream' if descriptor.client_streaming else 'unary'}"
            f"_{'stream' if descriptor.server_streaming else 'unary'}",
        )
        self._call = open_method(
            self.path,
            request_serializer=self.request.SerializeToString,
            response_deserializer=self.response.FromString,
        )
        self._seconds = None if descriptor.server_streaming else SECONDS_PER_CALL

    def __call__(self, requests=None, *, timeout=None, **fields):
        if not self.client_streams:
            requests = self.request(**fields) if requests is None else requests
        return self._call(requests, timeout=timeout or self._seconds)


class Service:
    """One service; its methods are attributes."""

    def __init__(self, client, descriptor):
        self.methods = {m.name: Method(client, m) for m in descriptor.methods}

    def __getattr__(self, name):
        try:
            return self.methods[name]
        except KeyError:
            raise AttributeError(f"the server has no method {name}") from None


class Client:
    """A connection; the services of package gale.v1 are its attributes."""

    def __init__(self, address):
        self.address = address
        # A subchannel pool of its own gives each client a connection of its own.
        self.channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self.reflection = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.reflection)
        self._services = {}

    def __getattr__(self, name):
        if not name.endswith("Service"):
            raise AttributeError(name)
        if name not in self._services:
            descriptor = self.pool.FindServiceByName(f"{PACKAGE}.{name}")
            self._services[name] = Service(self, descriptor)
        return self._services[name]

    def enum(self, name):
        """Names of an enum's values by number."""
        values = self.pool.FindEnumTypeByName(f"{PACKAGE}.{name}").values
        return {value.number: value.name for value in values}

    def close(self):
        self.channel.close()


class Status:
    """How a call ended, its details decoded."""

    def __init__(self, code, message, details):
        self.code = code
        self.message = message
        self.info = None
        self.fields = []
        for detail in details:
            info = error_details_pb2.ErrorInfo()
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.info = info
            elif detail.Unpack(bad):
                self.fields += [violation.field for violation in bad.field_violations]

    @classmethod
    def of(cls, error):
        """Of an error that a call raised. `from_call` checks that the details repeat
        the code and the message of the status itself."""
        rich = rpc_status.from_call(error)
        return cls(error.code().name, error.details(), rich.details if rich else [])

    @property
    def reason(self):
        return self.info.reason if self.info else None

    @property
    def position(self):
        """The position that the status carries: (incarnation, revision, index)."""
        found = self.info.metadata if self.info else {}
        return (
            found.get("incarnation"),
            int(found.get("revision", -1)),
            int(found.get("index", -1)),
        )

    def __str__(self):
        info = f"{self.info.domain}, {dict(self.info.metadata)}" if self.info else "nobody"
        return f"{self.code} {self.reason} of {info}, fields {self.fields}: {self.message}"


class Watcher:
    """Reads a Watch stream in a thread, and keeps all that came and how it ended."""

    def __init__(self, gale, **request):
        self.messages = []
        self.status = None
        self._changed = threading.Condition()
        timeout = request.pop("timeout", None)
        self._call = gale.EventService.Watch(timeout=timeout, **request)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        status = None
        try:
            for message in self._call:
                with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            status = Status.of(error)
        with self._changed:
            self.status = status or Status("OK", "", [])
            self._changed.notify_all()

    @property
    def events(self):
        return [event for message in list(self.messages) for event in message.events]

    def wait(self, holds, what, seconds=10):
        """Waits until `holds(self)`; `what` says what for if it never comes."""
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self), seconds):
                kinds = [event.kind for event in self.events[-8:]]
                raise Failed(what, f"nothing in {seconds} s; last kinds {kinds}, {self.status}")

    def wait_for_revision(self, revision):
        """Waits until everything up to `revision` has come."""
        caught_up = lambda self: bool(self.messages) and self.messages[-1].next.revision > revision
        self.wait(caught_up, f"the stream reaches revision {revision}")

    def end(self, seconds=10):
        """Waits for the end of the stream; its status."""
        self.wait(lambda self: self.status is not None, "the stream ends", seconds)
        return self.status

    def stop(self):
        self._call.cancel()
        self._thread.join(10)


def place(event_or_position):
    """A position as a pair that compares."""
    position = getattr(event_or_position, "position", event_or_position)
    return (position.revision, position.index)


def grpc_web(address, method, fields, timeout=None):
    """One call in gRPC-web over HTTP/1.1, framed by hand: (messages, grpc-status, Status).

    Unlike the library, nothing on this side ends the call at its deadline: what comes
    is the server's own answer.
    """
    body = method.request(**fields).SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    if timeout is not None:
        headers["grpc-timeout"] = timeout
    connection = http.client.HTTPConnection(address, timeout=15)
    try:
        frame = b"\0" + len(body).to_bytes(4, "big") + body
        connection.request("POST", method.path, frame, headers)
        response = connection.getresponse()
        if response.status != 200 or response.version != 11:
            raise Failed("HTTP/1.1 200", f"HTTP {response.version} {response.status}")
        trailers = {name.lower(): value for name, value in response.getheaders()}
        messages = []
        rest = response.read()
        while rest:
            length = int.from_bytes(rest[1:5], "big")
            content, trailing = rest[5 : 5 + length], rest[0] & 0x80
            if trailing:
                lines = content.decode().strip().split("\r\n")
                trailers.update(line.split(":", 1) for line in lines)
            else:
                messages.append(method.response.FromString(content))
            rest = rest[5 + length :]
    finally:
        connection.close()
    trailers = {name.lower(): value.strip() for name, value in trailers.items()}
    packed = trailers.get("grpc-status-details-bin", "")
    rich = rpc_status.status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    code = int(trailers.get("grpc-status", -1))
    name = next((known.name for known in grpc.StatusCode if known.value[0] == code), str(code))
    return messages, Status(name, urllib.parse.unquote(trailers.get("grpc-message", "")), rich.details)


class Failed(Exception):
    """A check that did not hold."""

    def __init__(self, expected, came):
        super().__init__(f"expected {expected}\ncame     {came}")


def equal(what, came, expected):
    if came != expected:
        raise Failed(f"{what}: {expected!r}", repr(came))


def true(what, holds, came=""):
    if not holds:
        raise Failed(what, came or "the contrary")


def refused(call, code, reason, field=None):
    """Makes a call that must be refused with this code, reason and bad field."""
    try:
        came = call()
    except grpc.RpcError as error:
        status = Status.of(error)
    else:
        raise Failed(f"{code} {reason}", f"an answer: {came}")
    ended_with(status, code, reason, field)
    return status


def ended_with(status, code, reason, field=None):
    """Checks how a call ended; every error of Gale has an ErrorInfo."""
    expected = f"{code} {reason} of gale" + (f", field {field}" if field else "")
    holds = status.code == code and status.reason == reason and status.info.domain == "gale"
    if field:
        # A BadRequest is for bad arguments; the ErrorInfo names the field in any case.
        named = field in status.fields or code != "INVALID_ARGUMENT"
        holds = holds and named and status.info.metadata["field"] == field
    true(expected, holds, status)


class Suite:
    """Checks in order; each is a function whose result, if any, is a remark to print."""

    def __init__(self, name):
        self.name = name
        self._checks = []

    def check(self, title):
        def add(function):
            self._checks.append((title, function))
            return function

        return add

    def add(self, title, function):
        self._checks.append((title, function))

    def run(self, *arguments):
        """Runs all checks; the exit code: 0 if all hold."""
        print(f"# {self.name}", flush=True)
        failures = 0
        width = max(len(title) for title, _ in self._checks)
        for title, function in self._checks:
            start = time.monotonic()
            try:
                remark, failure = function(*arguments) or "", None
            except grpc.RpcError as error:
                remark, failure = "", f"expected an answer\ncame     {Status.of(error)}"
            except Failed as error:
                remark, failure = "", str(error)
            except Exception as error:  # a check that breaks is a check that fails
                remark, failure = "", f"expected no exception\ncame     {error!r}"
            seconds = time.monotonic() - start
            word = "FAIL" if failure else "ok"
            print(f"{word:<4}  {title:<{width}} {seconds:6.2f} s  {remark}".rstrip(), flush=True)
            if failure:
                failures += 1
                print("".join(f"        {line}\n" for line in failure.splitlines()), end="", flush=True)
        return 1 if failures else 0
