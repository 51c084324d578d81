
UPDATE item SET stock = -stock WHERE id % 500 = 0; DELETE FROM tag WHERE item BETWEEN 100 AND 120;
INSERT INTO maker(name) VALUES('Dogwood'); UPDATE big SET data = CAST('more ' || data AS BLOB) WHERE id = 2;