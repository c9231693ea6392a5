-- The paragraphs by descending probability of each emotion. Select rows with `rank <= 10`.
CREATE OR REPLACE VIEW stories_strongest_paragraphs AS
SELECT
  emotion,
  ROW_NUMBER() OVER (PARTITION BY emotion ORDER BY probability DESC, id) AS rank,
  id,
  document,
  position,
  probability,
  has_label,
  label,
  tokens,
  model
FROM stories_emotions_long AS emotions_long
