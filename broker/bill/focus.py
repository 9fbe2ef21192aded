"""One hour of use as FOCUS 1.2 rows. `SkuMeter` has AWS's usage type, `ResourceId` what was used, `Tags` whose it is.

| meter | quantity | charged |
|---|---|---|
| Requests-Tier1, Requests-Tier2 | requests | the store's owner: whoever asked |
| TimedStorage-ByteHrs | byte-hours / 730, in GB-months | the controller bills it for all |
| DataTransfer-Regional-Bytes | GB, once for each side | as clouds do: a GB moved is two GB billed |
| BoxUsage:TYPE, SpotUsage:TYPE | hours | every broker |
| EBS:VolumeUsage.gp3 | GB-months | the WAL's volume, whole GB |
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.bill.prices import Prices
from broker.bill.usage import HourUsage

_GB = 2**30
Row = dict[str, str | float | None]

COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("AvailabilityZone",), "VARCHAR"),
    **dict.fromkeys(("BilledCost",), "DOUBLE"),
    **dict.fromkeys(("BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency"), "VARCHAR"),
    **dict.fromkeys(("BillingPeriodEnd", "BillingPeriodStart"), "TIMESTAMPTZ"),
    **dict.fromkeys(("CapacityReservationId", "CapacityReservationStatus", "ChargeCategory", "ChargeClass"), "VARCHAR"),
    **dict.fromkeys(("ChargeDescription", "ChargeFrequency"), "VARCHAR"),
    **dict.fromkeys(("ChargePeriodEnd", "ChargePeriodStart"), "TIMESTAMPTZ"),
    **dict.fromkeys(("CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName"), "VARCHAR"),
    **dict.fromkeys(("CommitmentDiscountQuantity",), "DOUBLE"),
    **dict.fromkeys(("CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit"), "VARCHAR"),
    **dict.fromkeys(("ConsumedQuantity",), "DOUBLE"),
    **dict.fromkeys(("ConsumedUnit",), "VARCHAR"),
    **dict.fromkeys(("ContractedCost", "ContractedUnitPrice", "EffectiveCost"), "DOUBLE"),
    **dict.fromkeys(("InvoiceId", "InvoiceIssuerName"), "VARCHAR"),
    **dict.fromkeys(("ListCost", "ListUnitPrice"), "DOUBLE"),
    **dict.fromkeys(("PricingCategory", "PricingCurrency"), "VARCHAR"),
    **dict.fromkeys(("PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost"), "DOUBLE"),
    **dict.fromkeys(("PricingCurrencyListUnitPrice", "PricingQuantity"), "DOUBLE"),
    **dict.fromkeys(("PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName"), "VARCHAR"),
    **dict.fromkeys(("ResourceId", "ResourceName", "ResourceType"), "VARCHAR"),
    **dict.fromkeys(("ServiceCategory", "ServiceName", "ServiceSubcategory"), "VARCHAR"),
    **dict.fromkeys(("SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"), "VARCHAR"),
    **dict.fromkeys(("SubAccountId", "SubAccountName", "SubAccountType", "Tags"), "VARCHAR"),
}
"""FOCUS 1.2's 57 columns and the types they have in the Parquet file. `Tags` is a JSON object."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who is billed."""

    cluster: str
    broker: int
    zone: str | None
    instance_type: str
    spot: bool
    store: str
    """The object store's URL."""
    volume_bytes: int
    """The WAL's capacity; 0 where it is no volume."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    meter: str
    description: str
    category: str
    service: str
    subcategory: str
    resource: str
    kind: str
    quantity: float
    unit: str
    price: float
    spot: bool = False


def rows_of(usage: HourUsage, subject: Subject, prices: Prices) -> list[Row]:
    """The hour's rows; meters that saw no use have none."""
    lines = [*_store_lines(usage, subject, prices), *_broker_lines(usage, subject, prices)]
    return [_row(line, usage, subject, prices) for line in lines if line.quantity > 0]


def _store_lines(usage: HourUsage, subject: Subject, prices: Prices) -> list[_Line]:
    meters = (
        ("Requests-Tier1", "PUT, COPY, POST, or LIST", usage.tier1_requests, "Requests", prices.tier1_per_request),
        ("Requests-Tier2", "GET and all other", usage.tier2_requests, "Requests", prices.tier2_per_request),
        (
            "TimedStorage-ByteHrs",
            "storage",
            usage.stored_byte_hours / _GB / prices.hours_per_month,
            "GB-Mo",
            prices.storage_gb_month,
        ),
    )
    return [
        _Line(
            meter=meter,
            description=description,
            category="Storage",
            service="Amazon Simple Storage Service",
            subcategory="Object Storage",
            resource=subject.store,
            kind="Bucket",
            quantity=quantity,
            unit=unit,
            price=price,
        )
        for meter, description, quantity, unit, price in meters
    ]


def _broker_lines(usage: HourUsage, subject: Subject, prices: Prices) -> list[_Line]:
    instance = prices.instance(subject.instance_type)
    broker = f"{subject.cluster}/broker/{subject.broker}"
    hours = usage.up_s / 3600
    sides = [
        _Line(
            meter="DataTransfer-Regional-Bytes",
            description=f"Data transfer between zones, {side} side",
            category="Networking",
            service="Amazon Elastic Compute Cloud",
            subcategory="Data Transfer",
            resource=broker,
            kind="Instance",
            quantity=usage.cross_zone_bytes / _GB,
            unit="GB",
            price=prices.cross_zone_gb_each_side,
        )
        for side in ("this", "the other")
    ]
    compute = _Line(
        meter=f"{'SpotUsage' if subject.spot else 'BoxUsage'}:{subject.instance_type}",
        description=f"{subject.instance_type} instance hour",
        category="Compute",
        service="Amazon Elastic Compute Cloud",
        subcategory="Virtual Machines",
        resource=broker,
        kind="Instance",
        quantity=hours,
        unit="Hours",
        price=instance.spot_hour if subject.spot else instance.on_demand_hour,
        spot=subject.spot,
    )
    volume = _Line(
        meter="EBS:VolumeUsage.gp3",
        description="General purpose (gp3) provisioned storage",
        category="Storage",
        service="Amazon Elastic Block Store",
        subcategory="Block Storage",
        resource=f"{broker}/wal",
        kind="Volume",
        quantity=math.ceil(subject.volume_bytes / _GB) * hours / prices.hours_per_month,
        unit="GB-Mo",
        price=prices.volume_gb_month,
    )
    return [*sides, compute, volume]


def _row(line: _Line, usage: HourUsage, subject: Subject, prices: Prices) -> Row:
    start = datetime.fromtimestamp(usage.start_ms / 1000, UTC)
    month = start.replace(day=1, hour=0)
    cost = line.quantity * line.price
    sku = f"{prices.region}/{line.meter}"
    told: Row = {
        "AvailabilityZone": subject.zone if line.kind != "Bucket" else None,
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), line.price),
        "BillingAccountId": "embedded",
        "BillingAccountName": "The embedded cloud",
        "BillingAccountType": "Account",
        **dict.fromkeys(("BillingCurrency", "PricingCurrency"), prices.currency),
        "BillingPeriodStart": _text(month),
        "BillingPeriodEnd": _text((month + timedelta(days=32)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"${line.price:g} per {line.unit}: {line.description}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _text(start),
        "ChargePeriodEnd": _text(start + timedelta(hours=1)),
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), line.quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), line.unit),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), prices.provider),
        "PricingCategory": "Dynamic" if line.spot else "Standard",
        **dict.fromkeys(("PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice"), line.price),
        "PricingCurrencyEffectiveCost": cost,
        "RegionId": prices.region,
        "RegionName": prices.region_name,
        "ResourceId": line.resource,
        "ResourceName": line.resource,
        "ResourceType": line.kind,
        "ServiceCategory": line.category,
        "ServiceName": line.service,
        "ServiceSubcategory": line.subcategory,
        "SkuId": sku,
        "SkuMeter": line.meter,
        "SkuPriceId": f"{sku}/{prices.date}",
        "SubAccountId": subject.cluster,
        "SubAccountName": subject.cluster,
        "SubAccountType": "Account",
        "Tags": json.dumps({"cluster": subject.cluster, "broker": str(subject.broker)}),
    }
    return {column: told.get(column) for column in COLUMNS}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
