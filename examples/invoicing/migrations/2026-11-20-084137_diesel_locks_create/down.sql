DROP VIEW `diesel_locks_held`;
DROP TABLE `diesel_locks`;
