-- start --
-- Count a broker start.
UPDATE fleet SET boots = boots + 1, created_at = CASE created_at WHEN 0 THEN :now ELSE created_at END WHERE id = 1;

-- tables --
-- The applied tables of the file that are no agents.
SELECT limits, retention, accounts FROM fleet WHERE id = 1;

-- set_limits --
-- Store the applied limits.
UPDATE fleet SET limits = :value WHERE id = 1;

-- set_retention --
-- Store the applied retention.
UPDATE fleet SET retention = :value WHERE id = 1;

-- set_accounts --
-- Store the applied accounts.
UPDATE fleet SET accounts = :value WHERE id = 1;

-- account --
-- What became of every delivery that was ever accepted, with what retention has deleted since.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'), 0) AS accepted,
       f.forgotten_handled
           + (SELECT count(*) FROM deliveries WHERE state = 'acked' AND recipient <> 'operator') AS handled,
       f.forgotten_redelivered
           + (SELECT coalesce(sum(attempt - 1), 0) FROM deliveries WHERE attempt > 1) AS redelivered,
       (SELECT count(*) FROM deliveries WHERE state IN ('ready', 'scheduled', 'leased') AND recipient <> 'operator') AS waiting,
       f.forgotten_dead + (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead,
       (SELECT count(*) FROM deliveries WHERE state = 'held') AS held,
       f.forgotten_expired + (SELECT count(*) FROM deliveries WHERE state = 'expired') AS expired,
       f.forgotten_mailbox
           + (SELECT count(*) FROM deliveries WHERE recipient = 'operator' AND state IN ('ready', 'acked')) AS mailbox,
       (SELECT count(*) FROM deliveries WHERE recipient = 'operator' AND state = 'ready') AS unread
FROM fleet f WHERE f.id = 1;
