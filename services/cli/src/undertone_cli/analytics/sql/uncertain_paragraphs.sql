-- The paragraphs by ascending margin: those whose label is least certain, for labelling by people.
--
-- rank: 1 for the smallest margin; ties by descending entropy, then in the order of ids
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- text_sha256: SHA-256 of the text, in hexadecimal
-- label: the emotion with the highest probability
-- confidence: the highest probability
-- second_label: the emotion with the second highest probability
-- margin: the highest probability minus the second highest
-- entropy: the entropy of the probabilities, divided by its maximum
-- tokens: the number of tokens of the text
-- model: name, version, precision and policy
SELECT
  ROW_NUMBER() OVER (ORDER BY margin, entropy DESC, id) AS rank,
  id,
  document,
  position,
  text_sha256,
  label,
  confidence,
  second_label,
  margin,
  entropy,
  tokens,
  model
FROM paragraphs
