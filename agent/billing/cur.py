"""AWS Cost and Usage Report 2.0 (Parquet or CSV): `line_item_*` columns to FOCUS 1.2's.

What AWS bills and what a line effectively costs differ where a commitment pays: a covered hour is billed at 0 and costs
its share of the commitment; the negation that cancels it costs nothing; what a commitment did not use is a line of
its own. Reports are made with the columns that their owner chose: a column that is absent is NULL.
"""

from __future__ import annotations

from agent.billing.columns import NUMBERS, TIMES
from agent.billing.dialect import Dialect, Present, first_of, moment, number, tags

SPELLINGS = {
    "BillingAccountId": ("bill_payer_account_id",),
    "SubAccountId": ("line_item_usage_account_id",),
    "ServiceName": ("product_product_name", "line_item_product_code"),
    "ServiceSubcategory": ("product_product_family",),
    "ChargeDescription": ("line_item_line_item_description",),
    "RegionId": ("product_region_code", "product_region"),
    "AvailabilityZone": ("line_item_availability_zone",),
    "ResourceId": ("line_item_resource_id",),
    "SkuId": ("product_sku",),
    "SkuMeter": ("line_item_usage_type",),
    "x_Operation": ("line_item_operation",),
    "ConsumedQuantity": ("line_item_usage_amount",),
    "ConsumedUnit": ("pricing_unit",),
    "BillingCurrency": ("line_item_currency_code",),
    "ListCost": ("pricing_public_on_demand_cost",),
    "ChargePeriodStart": ("line_item_usage_start_date",),
    "ChargePeriodEnd": ("line_item_usage_end_date",),
    "Tags": ("resource_tags",),
}
COVERED = "'SavingsPlanCoveredUsage', 'SavingsPlanNegation', 'DiscountedUsage'"
CATEGORIES = (
    ("'Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage'", "Usage"),
    ("'Fee', 'RIFee', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee'", "Purchase"),
    ("'Tax'", "Tax"),
    ("'Credit', 'Refund'", "Credit"),
)


def _cell(name: str, present: Present) -> str | None:
    kind = first_of(("line_item_line_item_type",), present) or "'Usage'"
    if name == "ProviderName":
        return "'AWS'"
    if name == "BilledCost":
        return f"CASE WHEN {kind} IN ({COVERED}) THEN 0.0 ELSE {_number('line_item_unblended_cost', present)} END"
    if name == "EffectiveCost":
        return _effective(kind, present)
    if name == "ChargeCategory":
        whens = " ".join(f"WHEN {kind} IN ({kinds}) THEN '{category}'" for kinds, category in CATEGORIES)
        return f"CASE {whens} ELSE 'Adjustment' END"
    if name == "CommitmentDiscountId":
        arns = [
            f"nullif({column}, '')"
            for spelled in ("reservation_reservation_a_r_n", "savings_plan_savings_plan_a_r_n")
            if (column := first_of((spelled,), present))
        ]
        return f"coalesce({', '.join(arns)})" if arns else None
    column = first_of(SPELLINGS.get(name, ()), present)
    if column is None:
        return None
    if name == "Tags":
        return tags(column, present["resource_tags"])
    if name in TIMES:
        return moment(column)
    return number(column) if name in NUMBERS else f"{column}::VARCHAR"


def _effective(kind: str, present: Present) -> str:
    unblended = _number("line_item_unblended_cost", present)
    return (
        f"CASE {kind} WHEN 'DiscountedUsage' THEN {_number('reservation_effective_cost', present)} "
        f"WHEN 'SavingsPlanCoveredUsage' THEN {_number('savings_plan_savings_plan_effective_cost', present)} "
        "WHEN 'SavingsPlanNegation' THEN 0.0 WHEN 'SavingsPlanUpfrontFee' THEN 0.0 "
        "WHEN 'SavingsPlanRecurringFee' THEN "
        f"{_number('savings_plan_total_commitment_to_date', present)} "
        f"- {_number('savings_plan_used_commitment', present)} "
        f"WHEN 'RIFee' THEN {_number('reservation_unused_amortized_upfront_fee_for_billing_period', present)} "
        f"+ {_number('reservation_unused_recurring_fee', present)} ELSE {unblended} END"
    )


def _number(name: str, present: Present) -> str:
    column = first_of((name,), present)
    return f"coalesce({number(column)}, 0.0)" if column else "0.0"


CUR = Dialect(
    name="AWS CUR 2.0",
    required=(
        "line_item_usage_type",
        "line_item_unblended_cost",
        "line_item_usage_start_date",
        "line_item_usage_end_date",
        "line_item_product_code",
    ),
    filled=("line_item_unblended_cost", "line_item_usage_start_date"),
    numbers=("line_item_unblended_cost", "line_item_usage_amount", "pricing_public_on_demand_cost"),
    times=("line_item_usage_start_date", "line_item_usage_end_date"),
    cell=_cell,
)
