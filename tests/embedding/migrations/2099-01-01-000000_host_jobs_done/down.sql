ALTER TABLE host_jobs DROP COLUMN done;
