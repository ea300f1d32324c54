DROP VIEW IF EXISTS `diesel_locks_held`;
DROP TABLE IF EXISTS `diesel_locks_beats`;
DROP TABLE IF EXISTS `diesel_locks`;
