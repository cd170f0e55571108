/** Users with what they have paid in all from this on are golden. */
export const GOLDEN = 500;

/** The demo's model of three tables, as a user would write it into a file of its own. */
export const GOLDEN_USERS = `-- Users who have paid ${GOLDEN} or more, with what they wait for from support.
SELECT u.id, u.name, u.email, o.orders, o.spent, coalesce(t.open_tickets, 0) AS open_tickets
FROM users u
JOIN (
  SELECT user_id, count(*) AS orders, sum(total) AS spent
  FROM orders WHERE status = 'paid' GROUP BY user_id
) o ON o.user_id = u.id
LEFT JOIN (
  SELECT user_id, count(*) AS open_tickets
  FROM tickets WHERE closed_at IS NULL GROUP BY user_id
) t ON t.user_id = u.id
WHERE o.spent >= ${GOLDEN}
`;
