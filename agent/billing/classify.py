"""What a bill's row pays for, from FOCUS 1.2's names: the meter where there is one, else the words of the description.

The order matters: a NAT gateway's hours are sold as EC2, and cross-zone bytes as "regional data transfer".
A row that fits nothing is `unclassified`: counted and shown, never dropped.
"""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("nat", r"natgateway|nat gateway"),
    (
        "cross_zone",
        r"datatransfer-regional|regional data transfer|between ec2 azs|intra-az|availability zone.*transfer",
    ),
    ("ip", r"publicipv4|public ipv4|elasticip|elastic ip address|idle address|ip address"),
    ("load_balancer", r"loadbalancer|load balanc|lcu"),
    ("requests", r"requests-tier|request|operations|api calls|million|transactions|per 10,000|per 1,000"),
    ("data_transfer", r"data transfer|datatransfer|bandwidth|egress"),
    ("wal", r"ebs:|volume|gp2|gp3|iops|snapshot|block.?storage|managed disk|provisioned storage"),
    ("storage", r"timedstorage|storage|byte-?hrs|gb-mo|gigabyte-month|blob|bucket"),
    ("compute", r"boxusage|spotusage|instance|hour|compute|vcpu|lambda|fargate|virtual machine"),
)
"""Component and the pattern (RE2, on lower case) of its rows."""

BY_CATEGORY = (
    ("Compute", "compute"),
    ("Storage", "storage"),
    ("Networking", "data_transfer"),
    ("Databases", "database"),
)
"""ServiceCategory to component, where no pattern fits."""

UNCLASSIFIED = "unclassified"


def component_sql(text: str, category: str) -> str:
    """A SQL expression: the component of a row, from its words (`text`) and its ServiceCategory."""
    patterns = " ".join(f"WHEN regexp_matches({text}, '{pattern}') THEN '{name}'" for name, pattern in RULES)
    categories = " ".join(f"WHEN {category} = '{name}' THEN '{component}'" for name, component in BY_CATEGORY)
    return f"CASE {patterns} {categories} ELSE '{UNCLASSIFIED}' END"
