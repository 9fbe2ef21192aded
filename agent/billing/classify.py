"""What a bill's row pays for, from FOCUS 1.2's names: the meter where there is one, else the words of the description.

The components are the meter's (compute, requests, storage, wal, network) and those that a meter cannot see (nat, ip,
load_balancer, egress, database). `network` is traffic between zones, and nothing else.

The order matters: a NAT gateway's hours are sold as EC2, and cross-zone bytes as "regional data transfer".
A row that fits nothing is `unclassified`: counted and shown, never dropped.
"""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    ("nat", r"natgateway|nat gateway|cloud nat"),
    (
        "network",
        r"datatransfer-regional|regional data transfer|between ec2 azs|intra-az|availability zone.*transfer|"
        r"inter.?zone",
    ),
    ("ip", r"publicipv4|public ipv4|elasticip|elastic ip address|idle address|ip address|static ip|\beip\b"),
    ("load_balancer", r"loadbalancer|load balanc|lcu|forwarding rule|\bslb\b|\bnlb\b"),
    (
        "requests",
        r"requests-tier|request|operations|api calls|million|transactions|per 10,000|per 1,000|\b(class a|class b) ",
    ),
    (
        "egress",
        r"data transfer|datatransfer|bandwidth|egress|internet traffic|networkout",
    ),
    (
        "wal",
        r"ebs:|volume|gp2|gp3|iops|snapshot|block.?storage|managed disk|provisioned storage|pd capacity|cloud_essd|"
        r"cloud_ssd|systemdisk|datadisk|\bdisk\b",
    ),
    ("storage", r"timedstorage|storage|byte-?hrs|gb-mo|gigabyte-month|blob|bucket|data stored"),
    ("compute", r"boxusage|spotusage|instance|hour|compute|vcpu|lambda|fargate|virtual machine|\bcore\b|\bram\b"),
)
"""Component and the pattern (RE2, on lower case) of its rows."""

BY_CATEGORY = (
    ("Compute", "compute"),
    ("Storage", "storage"),
    ("Networking", "egress"),
    ("Databases", "database"),
)
"""ServiceCategory to component, where no pattern fits."""

UNCLASSIFIED = "unclassified"
METERED = ("compute", "requests", "storage", "wal", "network")


def component_sql(text: str, category: str) -> str:
    """A SQL expression: the component of a row, from its words (`text`) and its ServiceCategory."""
    patterns = " ".join(f"WHEN regexp_matches({text}, '{pattern}') THEN '{name}'" for name, pattern in RULES)
    categories = " ".join(f"WHEN {category} = '{name}' THEN '{component}'" for name, component in BY_CATEGORY)
    return f"CASE {patterns} {categories} ELSE '{UNCLASSIFIED}' END"
