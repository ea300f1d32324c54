CREATE TABLE invoices (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    customer TEXT NOT NULL,
    cents INTEGER NOT NULL,
    paid BOOLEAN NOT NULL DEFAULT FALSE,
    -- The number is not UNIQUE, so that the tests show that the lock alone prevents duplicates. A real application adds UNIQUE.
    number INTEGER,
    -- The process that gave the number, and the fence of the lock.
    numbered_by TEXT,
    numbered_under BIGINT
);
