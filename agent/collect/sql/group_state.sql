-- tables: groups events
SELECT g.group_id, $cluster || '/group/' || @encoded(g.group_id) AS resource, g.state, g.protocol, g.members,
    g.coordinator,
    (SELECT count(*) FROM events e WHERE e.kind = 'rebalance'
        AND e.resource = $cluster || '/group/' || @encoded(g.group_id)) AS rebalances,
    g.age_s AS data_age_s
FROM groups g
