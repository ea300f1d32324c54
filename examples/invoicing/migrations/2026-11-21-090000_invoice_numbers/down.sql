ALTER TABLE invoices DROP COLUMN numbered_under;
ALTER TABLE invoices DROP COLUMN numbered_by;
ALTER TABLE invoices DROP COLUMN number;
