-- No UNIQUE on the number, so that the tests see that the lock alone keeps it unique. Yours would have it.
ALTER TABLE invoices ADD COLUMN number INTEGER;
-- The process that gave the number, and the fence of its lock.
ALTER TABLE invoices ADD COLUMN numbered_by TEXT;
ALTER TABLE invoices ADD COLUMN numbered_under BIGINT;
