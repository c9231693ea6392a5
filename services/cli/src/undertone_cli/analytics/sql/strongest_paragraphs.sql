-- The paragraphs by descending probability of each emotion. Select rows with `rank <= 10`.
--
-- emotion: the emotion
-- rank: 1 for the highest probability of the emotion; ties in the order of ids
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- probability: the probability of the emotion
-- has_label: whether the emotion is one of those of the paragraph
-- label: the emotion with the highest probability
-- tokens: the number of tokens of the text
-- model: name, version, precision and policy
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
FROM emotions_long
