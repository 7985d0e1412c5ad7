CREATE TABLE note (text text PRIMARY KEY, heard int NOT NULL DEFAULT 0);
