"""Cordon, uncordon, and the named destructive action: giving up a dead broker's WAL."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from broker.admin.errors import AdminError
from broker.admin.routes import Answer, Asked, Broker, Field, Route
from broker.metadata import losses


def check_known(broker: Broker, id: int) -> None:
    """AdminError when nobody registered under that id."""
    known = sorted(broker.metadata.image.brokers)
    if id not in known:
        raise AdminError(f"there is no broker {id}", next=f"give one of {known}", status=HTTPStatus.NOT_FOUND)


async def cordon(broker: Broker, asked: Asked) -> Answer:
    return await _set_cordon(broker, asked.ids["id"], on=True)


async def uncordon(broker: Broker, asked: Asked) -> Answer:
    return await _set_cordon(broker, asked.ids["id"], on=False)


async def _set_cordon(broker: Broker, id: int, *, on: bool) -> Answer:
    await broker.metadata.refresh()
    check_known(broker, id)
    await broker.metadata.cordon(id, on)
    await broker.logs.announce()
    return HTTPStatus.OK, {"broker": id, "cordoned": on}


async def declare_lost(broker: Broker, asked: Asked) -> Answer:
    id = asked.ids["id"]
    await broker.metadata.refresh()
    check_known(broker, id)
    if asked.values["confirm"] != str(id):
        raise AdminError(
            f"confirm does not name broker {id}: acknowledged records that only its WAL has would be lost",
            next=f'send {{"confirm": "{id}"}} when that WAL is gone for good',
        )
    lost = await broker.metadata.change(lambda tx: losses.declare_lost(tx, id))
    await broker.logs.announce()
    return HTTPStatus.OK, {"broker": id, "partitions": [asdict(each) for each in lost]}


ROUTES = (
    Route(
        method="POST",
        path="/admin/v1/brokers/{id}/cordon",
        summary="The broker keeps what it owns and gets nothing new.",
        answer=cordon,
    ),
    Route(
        method="POST",
        path="/admin/v1/brokers/{id}/uncordon",
        summary="The broker may get partitions again.",
        answer=uncordon,
    ),
    Route(
        method="POST",
        path="/admin/v1/brokers/{id}/declare-lost",
        summary="Opens a dead broker's partitions without its WAL: acknowledged records that only it has are lost.",
        answer=declare_lost,
        body={"confirm": Field(kind="string", about="the broker's id, to say that this one is meant", required=True)},
    ),
)
