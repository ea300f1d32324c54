CREATE TABLE reminders (
    id INTEGER NOT NULL PRIMARY KEY,
    sent_to TEXT NOT NULL,
    fence BIGINT
);
