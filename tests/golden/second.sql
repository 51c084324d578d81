
UPDATE item SET stock = -stock WHERE id % 500 = 0; DELETE FROM tag WHERE item BETWEEN 100 AND 120;
INSERT INTO maker(name) VALUES('Dogwood'); UPDATE big SET data = CAST('more ' || data AS BLOB) WHERE id = 2;
ALTER TABLE maker ADD COLUMN land TEXT DEFAULT 'unknown';
DELETE FROM item WHERE id IN (SELECT id FROM item WHERE id % 3 = 0 AND id BETWEEN 2000 AND 6000);
UPDATE noise SET body = substr(body, 1, 9000) || 'another text' || substr(body, 9000),
  short = substr(short, 1, 900) || 'a word' || substr(short, 900);
