CREATE TABLE invoices (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    customer TEXT NOT NULL,
    cents INTEGER NOT NULL,
    paid BOOLEAN NOT NULL DEFAULT FALSE,
    -- No UNIQUE on the number, so that the tests see that the lock alone keeps it unique. Yours would have it.
    number INTEGER,
    -- The process that gave the number, and the fence of its lock.
    numbered_by TEXT,
    numbered_under BIGINT
);
