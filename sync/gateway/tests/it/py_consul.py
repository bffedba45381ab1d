"""py-consul, unchanged, against the gateway: keys, services, checks, sessions, locks."""

import os
import sys
import threading
import time

import consul

port, root = int(sys.argv[1]), sys.argv[2]
client = consul.Consul(
    host="localhost", port=port, scheme="https", verify=root, token=os.environ["TOKEN"]
)


def expect(found, due):
    assert found == due, f"{found!r} where {due!r} is due"


# Keys.
expect(client.kv.put("app/name", "value", flags=3), True)
index, entry = client.kv.get("app/name")
expect((entry["Value"], entry["Flags"], entry["Key"]), (b"value", 3, "app/name"))
expect(client.kv.put("app/name", "lost", cas=0), False)
expect(client.kv.put("app/name", "won", cas=entry["ModifyIndex"]), True)
client.kv.put("app/other", "x")
_, keys = client.kv.get("app/", keys=True)
expect(keys, ["app/name", "app/other"])
_, entries = client.kv.get("app/", recurse=True)
expect([entry["Value"] for entry in entries], [b"won", b"x"])
_, nothing = client.kv.get("nothing")
expect(nothing, None)

# A change wakes who waits.
index, _ = client.kv.get("app/name")
woken = []


def wait():
    other = consul.Consul(
        host="localhost", port=port, scheme="https", verify=root, token=os.environ["TOKEN"]
    )
    woken.append(other.kv.get("app/name", index=index, wait="20s"))


waiting = threading.Thread(target=wait)
waiting.start()
time.sleep(0.3)
expect(woken, [])
client.kv.put("app/name", "changed")
waiting.join(10)
expect(woken[0][1]["Value"], b"changed")
expect(client.kv.delete("app/", recurse=True), True)

# Services and checks.
check = consul.Check.ttl("30s")
expect(
    client.agent.service.register(
        "eeg", service_id="eeg-1", address="127.0.0.1", port=8080, tags=["v1"], check=check
    ),
    True,
)
_, passing = client.health.service("eeg", passing=True)
expect(passing, [])
client.agent.check.ttl_pass("service:eeg-1")
_, passing = client.health.service("eeg", passing=True)
expect([(one["Service"]["ID"], one["Service"]["Port"]) for one in passing], [("eeg-1", 8080)])
_, services = client.catalog.services()
expect(services["eeg"], ["v1"])
_, placed = client.catalog.service("eeg")
expect(placed[0]["ServiceAddress"], "127.0.0.1")
expect(list(client.agent.services()), ["eeg-1"])
client.agent.check.ttl_fail("service:eeg-1", notes="it fails")
_, failed = client.health.state("critical")
expect([(one["ServiceID"], one["Output"]) for one in failed], [("eeg-1", "it fails")])
client.agent.service.deregister("eeg-1")
expect(client.agent.services(), {})

# Sessions and locks.
one = client.session.create(name="one", lock_delay=0, ttl=20)
two = client.session.create(name="two")
expect(client.kv.put("lock", "1", acquire=one), True)
expect(client.kv.put("lock", "2", acquire=two), False)
_, known = client.session.info(one)
expect((known["Name"], known["TTL"]), ("one", "20s"))
client.session.renew(one)
client.session.destroy(one)
_, gone = client.session.info(one)
expect(gone, None)
expect(client.kv.put("lock", "2", acquire=two), True)
expect(client.kv.put("lock", "2", release=two), True)
_, sessions = client.session.list()
expect([one["Name"] for one in sessions], ["two"])

# Others are told as Consul tells them.
stranger = consul.Consul(host="localhost", port=port, scheme="https", verify=root)
try:
    stranger.kv.get("app/name")
    raise AssertionError("a stranger reads")
except consul.ConsulException:
    pass

print("all held")
