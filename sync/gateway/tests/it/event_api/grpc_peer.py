"""Subscribes to the gateway's events with gRPC's own Python client, made from the committed proto file.

Arguments: port, folder of the proto file, position to begin behind, number of events, type.
"""

import json
import sys
import tempfile

import grpc
from grpc_tools import protoc

port, protos, after, count, kind = sys.argv[1:]
made = tempfile.mkdtemp()
name = "neurascale/events/v1/events"
code = protoc.main(["", f"-I{protos}", f"--python_out={made}", f"--grpc_python_out={made}", f"{name}.proto"])
assert code == 0, code
sys.path.insert(0, made)
from neurascale.events.v1 import events_pb2, events_pb2_grpc  # noqa: E402

with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    events = events_pb2_grpc.EventsStub(channel)
    try:
        bad = events_pb2.SubscribeRequest(correlation="none")
        next(events.Subscribe(bad, timeout=20))
        raise AssertionError("a malformed correlation was taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    request = events_pb2.SubscribeRequest(after=int(after), types=[kind])
    stream = events.Subscribe(request, timeout=20)
    print("subscribed", flush=True)
    for _ in range(int(count)):
        event = next(stream)
        print(
            json.dumps(
                {
                    "position": event.position,
                    "event": {
                        "event_type": event.event_type,
                        "source_service": event.source_service,
                        "event_id": event.event_id,
                        "timestamp": event.timestamp,
                        "schema_version": event.schema_version,
                        "data": json.loads(event.data),
                        "correlation_id": event.correlation_id,
                        "causation_id": event.causation_id if event.HasField("causation_id") else None,
                        "site": event.site if event.HasField("site") else None,
                    },
                }
            ),
            flush=True,
        )
    stream.cancel()
