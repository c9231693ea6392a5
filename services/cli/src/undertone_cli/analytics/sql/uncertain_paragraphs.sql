-- The paragraphs by ascending margin: those whose labels are least certain, for labelling by people.
--
-- rank: 1 for the smallest margin; ties by descending entropy, then in the order of ids
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- text_sha256: SHA-256 of the text, in hexadecimal
-- label: the emotion with the highest probability
-- labels: the emotions of the paragraph, in alphabetical order, or (no label)
-- confidence: the highest probability
-- second_label: the emotion with the second highest probability
-- margin: the certainty of the least certain decision of the model, from 0 to 1
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
  labels,
  confidence,
  second_label,
  margin,
  entropy,
  tokens,
  model
FROM paragraphs
