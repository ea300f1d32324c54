-- The number is not UNIQUE, so that the tests show that the lock alone prevents duplicates. A real application adds UNIQUE.
ALTER TABLE invoices ADD COLUMN number INTEGER;
-- The process that gave the number, and the fence of the lock.
ALTER TABLE invoices ADD COLUMN numbered_by TEXT;
ALTER TABLE invoices ADD COLUMN numbered_under BIGINT;
