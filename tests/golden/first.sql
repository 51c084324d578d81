
PRAGMA page_size=1024; PRAGMA user_version=7; PRAGMA application_id=1818;
CREATE TABLE maker(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE);
CREATE TABLE item(id INTEGER PRIMARY KEY, maker INTEGER REFERENCES maker(id), title TEXT, price REAL,
  stock INTEGER, note, double_price REAL GENERATED ALWAYS AS (price * 2) STORED);
CREATE TABLE tag(item INTEGER, word TEXT COLLATE NOCASE, weight REAL, PRIMARY KEY(word, item DESC)) WITHOUT ROWID;
CREATE TABLE log(at TEXT, what);
CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT, data BLOB) STRICT;
CREATE INDEX item_by_maker ON item(maker, price DESC); CREATE UNIQUE INDEX item_title ON item(title) WHERE id < 100;
CREATE VIEW cheap AS SELECT * FROM item WHERE price < 10;
CREATE TRIGGER item_log AFTER DELETE ON item BEGIN INSERT INTO log VALUES('deleted', old.id); END;
INSERT INTO maker(name) VALUES('Ash'), ('birch'), ('Çedar'), ('');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
  INSERT INTO item(id, maker, title, price, stock, note)
  SELECT i, 1 + i % 5, 'item ' || (i * 7919 % 9001), (i * 37 % 10000) / 100.0, i * i,
    CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i / 7.0 WHEN 3 THEN 'n' || i WHEN 4 THEN CAST(i AS BLOB)
      ELSE -9223372036854775808 END FROM n;
INSERT INTO tag SELECT id, CASE id % 2 WHEN 0 THEN 'Even ' ELSE 'odd ' END || (id % 50), id / 3.0 FROM item WHERE id < 2000;
INSERT INTO log SELECT '2026-11-24', CAST(x'61ff00' AS TEXT) UNION ALL SELECT '', 9e999 UNION ALL SELECT NULL, -0.0;
INSERT INTO big VALUES(1, replace(hex(zeroblob(10000)), '00', 'larder '), NULL),
  (2, 'short', CAST(replace(hex(zeroblob(60000)), '00', 'chunk and ') AS BLOB));
CREATE TABLE noise(id INTEGER PRIMARY KEY, body TEXT, short TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
  INSERT INTO noise SELECT 1, group_concat(printf('%08x', i * 2654435761 % 4294967296), ''),
    substr(group_concat(printf('%08x', i * 40503 % 65521), ''), 1, 2000) FROM n;
ANALYZE;