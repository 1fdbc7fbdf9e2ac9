"""Sends what a portal refused again."""

from __future__ import annotations

import contextlib
import os

from traceml_agent.delivery import client as portal
from traceml_agent.delivery.delivery import Delivery, merged
from traceml_agent.delivery.readdress import readdress
from traceml_agent.spool import quarantine
from traceml_agent.spool.files import has_living_writer


def retry(client, each: quarantine.SetAside):
    """Send an item again and return the client's Answer. What is delivered leaves the quarantine.

    Records keep their batch id. A whole file goes back to the spool, addressed to the client's portal. It stays there
    if the portal can't be reached; if it is refused again, it returns with the new reason.
    """
    try:
        if not each.is_of_a_run:
            return portal.Answer(portal.QUARANTINE, each.reason)
        return _retry_batch(client, each) if quarantine.is_batch(each.path) else _retry_file(client, each)
    except FileNotFoundError:
        return portal.Answer(portal.DELIVERED, "another process is trying it again")
    except OSError as error:
        return portal.Answer(portal.BUSY, f"the file can't be used ({error.strerror or error})")


def _retry_batch(client, each: quarantine.SetAside):
    os.stat(each.path)
    content, batch_id = quarantine.read(each.path), quarantine.BATCH.sub(r"\2-\3-\4", os.path.basename(each.path))
    try:
        answer = _sent_again(client, each, content["records"], batch_id)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        return portal.Answer(portal.QUARANTINE, "the kept records can't be read")
    if answer.outcome in (portal.DELIVERED, portal.GONE):
        quarantine.unlink(each.path)
    elif answer.outcome == portal.RUN_UNKNOWN:
        answer = portal.Answer(portal.QUARANTINE, answer.reason)
    if answer.outcome == portal.QUARANTINE:
        quarantine.write(each.path, content | {"reason": answer.reason, "portal": client.url})
    return answer


def _sent_again(client, each: quarantine.SetAside, records: list[dict], batch_id: str):
    bodies = [record["body"] for record in records]
    if records[0]["type"] == "finish":
        return client.put_finish(each.run_id, {"writer": each.writer} | bodies[0])
    return client.put_batch(each.run_id, batch_id, portal.encode({"writer": each.writer} | merged(bodies)))


def _retry_file(client, each: quarantine.SetAside):
    path = os.path.join(os.path.dirname(os.path.dirname(each.path)), os.path.basename(each.path))
    if os.path.lexists(path):
        return portal.Answer(portal.BUSY, "a file of the same name is in the spool")
    if has_living_writer(each.path):
        return portal.Answer(portal.BUSY, "its run is still in progress")
    with contextlib.suppress(FileNotFoundError):
        os.replace(quarantine.sent_of(each.path), quarantine.sent_of(path))
    os.replace(each.path, path)
    quarantine.unlink(quarantine.reason_of(each.path))
    readdress(path, client.url)
    return Delivery(path).deliver(client)
